"""JSON in files: arrays and objects over several lines, and what does not matter around a text."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import PRINT_MEMORY, bad_in, read

from fastprep import prepare
from fastprep.corpus import jsonlines
from fastprep.corpus.documents import Format
from fastprep.corpus.inputs import find
from fastprep.corpus.jsonlines import LineDecoder
from fastprep.corpus.reader import can_split, whole
from fastprep.errors import DamagedInput, InvalidInput, InvalidUtf8
from fastprep_ext.base import Rows
from fastprep_ext.corpus import is_value_stream, values_to_lines

TEXT = st.text(alphabet=list('ab "\\[]{},:\n|é漢😀'), max_size=12)
OTHER = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("json")


@settings(max_examples=100, deadline=None)
@given(
    documents=st.lists(st.tuples(TEXT, OTHER, st.booleans()), min_size=1, max_size=6),
    indent=st.none() | st.integers(0, 2),
    layout=st.sampled_from(["array", "arrays", "values"]),
    mark=st.booleans(),
    end=st.sampled_from(["", "\n", " \r\n\t"]),
    ascii_only=st.booleans(),
    block_bytes=st.integers(1, 80),
    cut=st.booleans(),
)
def test_values_have_the_texts_that_json_loads_finds(
    folder: Path,
    documents: list[tuple[str, Any, bool]],
    indent: int | None,
    layout: str,
    mark: bool,
    end: str,
    ascii_only: bool,
    block_bytes: int,
    cut: bool,
) -> None:
    objects = [
        {"x": other, "text": text} if first else {"text": text, "x": other}
        for text, other, first in documents
    ]

    def dumped(value: Any, indent: int | None) -> str:
        return json.dumps(value, indent=indent, ensure_ascii=ascii_only)

    if layout == "array":
        content = dumped(objects, indent)
    elif layout == "arrays":
        content = dumped(objects, indent) + "\n" + dumped(objects[:1], indent)
        objects.append(objects[0])
    else:  # as of `jq .`, which indents at least by one
        content = "".join(dumped(each, indent or 1) for each in objects)
    path = folder / "a.json"
    path.write_bytes("\ufeff".encode() * mark + (content + end).encode())
    expected = [each["text"].encode() for each in objects]
    assert read([whole(path)], Format(), block_bytes=block_bytes, cut=cut) == expected
    packed = folder / "a.json.gz"
    packed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    assert read([whole(packed)], Format(), block_bytes=block_bytes, cut=cut) == expected
    assert not can_split(str(path), Format())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"text": "a"}', r"line 1: the file ends in the middle of an array"),
        ('[\n{"text": "a"},\n{"text": "b"', r"line 3: the file ends in the middle of a value"),
        ('[{"text": "a"},]', r"line 1: 0x5d cannot be there"),
        ('[{"text": "a"}\n{"text": "b"}]', r"line 2: 0x7b cannot be there"),
        ('[{"text": "a"}]\n]', r"line 2: 0x5d cannot be there"),
        ('[{"text": "a"},\n{"text": "b\n"}]', r"line 2: 0x0a cannot be there"),
        ('{\n"text": "a"},\n{"text": "b"}', r"line 2: 0x2c cannot be there"),
    ],
)
def test_what_is_no_json_is_named_by_its_line_and_what_is_before_it_is_kept(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    for block_bytes in (1, 4, 1 << 20):
        with pytest.raises(DamagedInput, match=rf"a\.json, {message}"):
            read([whole(path)], Format(), block_bytes=block_bytes)
        form = Format(on_error="skip")
        assert read([whole(path)], form, block_bytes=block_bytes) == [b"a"]
        (bad,) = bad_in([whole(path)], form, block_bytes=block_bytes)
        assert bad.place.startswith(f"{path}, line ")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('"a string"', "Expected `object`, got `str`"),
        ("5", "Expected `object`, got `int`"),
        ("[1]", "Expected `object`, got `array`"),
        ('{"txt": "x"}', "missing required field `text`"),
        ('{"text": "a", 5}', "malformed"),
        ("nul", "truncated"),
    ],
)
def test_an_element_that_is_no_document_is_named_by_its_number(
    tmp_path: Path, value: str, message: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text(f'[{{"text": "a"}},\n {value},\n {{"text": "b"}}]')
    with pytest.raises(InvalidInput, match=rf"a\.json, object 2: .*({message})"):
        read([whole(path)], Format())
    assert read([whole(path)], Format(on_error="skip")) == [b"a", b"b"]
    assert read([whole(path)], Format(on_error="replace")) == [b"a", b"", b"b"]
    (bad,) = bad_in([whole(path)], Format(on_error="skip"), block_bytes=3)
    assert bad.place == f"{path}, object 2"


def test_lines_are_not_taken_for_values() -> None:
    for content in (
        *(b'{"text": "a"}\n{"text": "b"}', b'{"text": "a"}', b'{"text": "a', b'{"text": "a\n"}'),
        *(b'{"text": "a",\n{"text": "b"}\n', b"", b"  \n", b'{"a": "{", "text": "}"}\n', b"x\n["),
    ):
        assert not is_value_stream(content, 0, len(content))
    for content in (b"[", b" \n[1]", b'{\n "a": 1}', b'{"a": [\n{"b": 1}]}', b'{"a":\n{}}'):
        assert is_value_stream(content, 0, len(content))


def test_bytes_outside_of_a_text_or_a_small_buffer_are_refused() -> None:
    for at, stop in ((0, 5), (3, 2)):
        with pytest.raises(ValueError, match=r"bytes . to . of 4"):
            is_value_stream(b"1234", at, stop)
        with pytest.raises(ValueError, match=r"bytes . to . of 4"):
            values_to_lines(b"1234", at, stop, 0, True, bytearray(100))
    with pytest.raises(ValueError, match="a buffer of 8 bytes for 4"):
        values_to_lines(b"1234", 0, 4, 0, True, bytearray(8))


def test_small_files_of_values_are_read_beside_lines(tmp_path: Path) -> None:
    for number in range(20):
        value = {"text": f"text {number}"}
        path = tmp_path / f"{number:02d}.json"
        path.write_text(json.dumps(value, indent=2 if number % 3 else None))
    store = prepare(tmp_path, tmp_path / "out", progress=False)
    assert store.num_documents == 20


def test_a_value_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonlines, "_MAX_VALUE", 1000)
    path = tmp_path / "a.json"
    path.write_text('[{"text": "a"},\n{"text": "b", "x": [' + "1," * 5000)
    with pytest.raises(DamagedInput, match="line 2: a value of more than 1000 bytes"):
        read([whole(path)], Format(), block_bytes=100)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_long_array_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with path.open("w") as file:
        file.write("[")
        element = json.dumps({"id": 1, "text": "word " * 2000}, indent=1)
        for number in range(12_000):  # 120 MB
            file.write("," * (number > 0) + element)
        file.write("]")
    script = f"""
from fastprep.corpus.reader import read, whole
from fastprep.corpus.documents import Format
count = sum(len(batch.texts) for batch in read([whole({str(path)!r})], Format()))
assert count == 12_000, count
"""
    found = subprocess.run(
        [sys.executable, "-c", script + PRINT_MEMORY], capture_output=True, check=True
    )
    assert int(found.stdout) < 90


# -- what does not matter around the text --------------------------------------------------------


def decoded(line: bytes, form: Format) -> list[bytes]:
    rows = Rows()
    LineDecoder(form).decode(line, rows)
    return [*rows]


@pytest.mark.parametrize("field", ["text", "in.text"])
@pytest.mark.parametrize(
    "other",
    [
        *(b"NaN", b"Infinity", b"-Infinity", b"[NaN, -Infinity]", b'{"NaN": NaN}', b"1e999"),
        *(b'"\\ud83d"', b'"\xff"', b'{"\\udc00": 1}', b"1" * 5000 + b".5", b"[" * 70 + b"]" * 70),
        *(b'"\xed\xa0\x80"', b'NaN, "y": "\xff"', b'"\\ud83d", "y": "\xff"'),
    ],
)
def test_what_json_loads_accepts_around_a_text_is_accepted(field: str, other: bytes) -> None:
    for text, expected in ((b"caf\xc3\xa9", "café"), (b"a\\ud83d", "a\ufffd")):
        line = b'{"x": %s, "text": "%s"}' % (other, text)
        if field == "in.text":
            line = b'{"x": %s, "in": %s}' % (other, line)
        for on_error in ("raise", "skip", "replace"):
            assert decoded(line, Format(field=field, on_error=on_error)) == [expected.encode()]


@pytest.mark.parametrize(
    "line",
    [
        *(
            b'{"x": nan, "text": "a"}',
            b'{"x": -NaN, "text": "a"}',
            b'{"x": +Infinity, "text": "a"}',
        ),
        *(b'{"x": Infinit, "text": "a"}', b'{"text": NaN}', b'{"x": -Infinity}', b'{"x": --1}'),
        *(b'{"x": NaN "text": "a"}', b'{"x": NaN, "text": ["a"]}', b'{"x": NaN, "text": "a"'),
    ],
)
def test_what_json_loads_refuses_is_refused(line: bytes) -> None:
    with pytest.raises(InvalidInput):
        decoded(line, Format())
    assert decoded(line, Format(on_error="skip")) == []


def test_bytes_of_a_text_that_are_not_utf8_are_named_beside_nan() -> None:
    line = b'{"x": [NaN, "\\ud83d"], "text": "a\xffb"}'
    with pytest.raises(InvalidUtf8, match="byte 33 of the line: 0xff"):
        decoded(line, Format())
    assert decoded(line, Format(on_error="skip")) == []
    assert decoded(line, Format(on_error="replace")) == ["a\ufffdb".encode()]


def test_lines_that_python_writes_make_a_store(tmp_path: Path) -> None:
    rows = [{"score": score, "text": "a"} for score in (float("nan"), float("inf"), -float("inf"))]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert prepare(tmp_path / "a.jsonl", tmp_path / "out", progress=False).num_documents == 3
    assert read(find(tmp_path / "a.jsonl"), Format()) == [b"a"] * 3
