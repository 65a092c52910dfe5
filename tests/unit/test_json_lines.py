"""The compiled reader of JSON lines returns the texts of msgspec, or leaves the line to it."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastprep.corpus.documents import Bad, Format
from fastprep.corpus.jsonlines import LineDecoder
from fastprep.errors import InvalidInput
from fastprep_ext.base import Rows
from fastprep_ext.corpus import LineReader

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5, alphabet='a"\\\né'),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


def patiently(line: bytes, form: Format) -> bytes | None:
    try:
        return LineDecoder(form).text(line).encode()
    except InvalidInput:
        return None


def quickly(line: bytes, keys: list[bytes]) -> bytes | None:
    """Return the text of one line by the compiled reader, or None if it leaves it to msgspec."""
    rows = Rows()
    at, _ = LineReader(keys).read(line, 0, len(line), rows, 0)
    if at < len(line) or not len(rows):
        return None
    assert (len(rows), rows.filled) == (1, rows.size)
    return rows[0]


def decoded(block: bytes, form: Format) -> tuple[Rows, list[Bad]]:
    rows = Rows()
    _, bad = LineDecoder(form).decode(block, rows)
    return rows, bad


@settings(max_examples=1000, deadline=None)
@given(
    text=st.text(max_size=30),
    more=st.dictionaries(st.text(max_size=4), VALUES, max_size=4),
    ascii_only=st.booleans(),
    space=st.sampled_from([(",", ":"), (" ,\t", " : "), (", \r", ":")]),
    nested=st.booleans(),
    change=st.none() | st.tuples(st.integers(0, 200), st.binary(max_size=2)),
)
def test_a_line_has_the_same_text_by_the_compiled_reader_or_is_left_to_the_patient_one(
    text: str,
    more: dict[str, object],
    ascii_only: bool,
    space: tuple[str, str],
    nested: bool,
    change: tuple[int, bytes] | None,
) -> None:
    value: object = {**more, "text": text}
    value = {"a": 1, "in": value, "b": [value]} if nested else value
    line = (
        json.dumps(value, ensure_ascii=ascii_only, separators=space, allow_nan=False)
        if ("nan" not in repr(more) and "inf" not in repr(more))
        else json.dumps({"in": {"text": text}, "text": text})
    )
    content = line.encode("utf-8", "surrogatepass")
    if change is not None:
        at = change[0] % (len(content) + 1)
        content = content[:at] + change[1].replace(b"\n", b"") + content[at + 1 :]
    field, keys = ("in.text", [b"in", b"text"]) if nested else ("text", [b"text"])
    found = quickly(content, keys)
    if found is not None:
        assert found == patiently(content, Format(field=field))


@pytest.mark.parametrize(
    "line",
    [
        b'{"text":"x"}',
        b' \t\r{ "a" : [ 1 , -0.5e+7, {} , [ ] , "\\u00e9\\ud83d\\ude00\\n" ] , "text" : "x" } \r',
        b'{"a":{"text":5},"text":"x","b":[true,false,null]}',
        b'{"text":"' + b"y" * 100 + b'"}',
        b'{"a":NaN,"b":[Infinity,-Infinity],"text":"x"}',
        '{"é漢":"😀","text":"é漢😀é漢😀"}'.encode(),
        b'{"text":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u6f22\\ud83d\\ude00"}',
    ],
)
def test_plain_lines_are_taken_by_the_compiled_reader(line: bytes) -> None:
    assert quickly(line, [b"text"]) == json.loads(line)["text"].encode()


@pytest.mark.parametrize(
    "line",
    [
        *(b"{}", b"[]", b"x", b'"text"', b'{"text"}', b'{"text":}', b'{"text":"x"', b'{"text":"x'),
        *(b'{"text":"x",}', b'{"text":"x"}}', b'{"text":"x"} 1', b'{,"text":"x"}', b'{"text" "x"}'),
        *(b'{"text":1}', b'{"text":null}', b'{"text":{"text":"x"}}', b'{"a":1}', b'{"Text":"x"}'),
        *(b'{"a":01,"text":"x"}', b'{"a":+1,"text":"x"}', b'{"a":.5,"text":"x"}'),
        *(b'{"a":1.,"text":"x"}', b'{"a":1e,"text":"x"}', b'{"a":-,"text":"x"}'),
        *(b'{"a":nul,"text":"x"}', b'{"a":True,"text":"x"}', b'{"a":nan,"text":"x"}'),
        *(b'{"a":[1,],"text":"x"}', b'{"a":[1 2],"text":"x"}', b'{"a":[,1],"text":"x"}'),
        *(b'{"text":"\\x"}', b'{"text":"\\u12"}', b'{"text":"\\u12g4"}', b'{"text":"\\ud83d"}'),
        *(
            b'{"text":"\\ude00"}',
            b'{"text":"\\ud83d\\u0041"}',
            b'{"text":"a\x00"}',
            b'{"text":"\t"}',
        ),
        *(b'{"text":"\xff"}', b'{"text":"\xed\xa0\x80"}', b'{"text":"\xc3"}', b"\xef\xbb\xbf{}"),
        b'{"a":' + b"[" * 100 + b"]" * 100 + b',"text":"x"}',
        b'{"text":"one","text":"two"}',
        b'{"\\u0074ext":"one"}',
        b"{'text':'x'}",
    ],
)
def test_other_lines_are_left_to_the_patient_reader(line: bytes) -> None:
    assert quickly(line, [b"text"]) is None


def test_every_cut_of_a_line_is_left_to_the_patient_reader() -> None:
    line = (
        '{"a":[1.5e3,{"b":null}],"text":"é\\u00e9 long enough for blocks of 32","c":"d"}'.encode()
    )
    for end in range(1, len(line)):
        assert quickly(line[:end], [b"text"]) is None


def test_blocks_of_good_and_bad_lines_go_on_where_they_should() -> None:
    rnd = random.Random(1)
    kinds = [
        *(b'{"text": "good"}', b'{"text": "good"}', b"", b"  ", b'{"text": 5}', b'{"a": 1}'),
        *(b'{"text": "\xff\xff\xff\xff"}', b'{"text": "\\ud83d"}', b'{"\\u0074ext": "x"}', b"\x0b"),
    ]
    for _ in range(200):
        lines = [rnd.choice(kinds) for _ in range(rnd.randrange(12))]
        block = b"\n".join(lines)
        good = [patiently(line, Format()) for line in lines if line.strip()]
        skipped, bad = decoded(block, Format(on_error="skip"))
        assert list(skipped) == [text for text in good if text is not None]
        assert len(bad) == good.count(None)
        replaced, still_bad = decoded(block, Format(on_error="replace"))
        assert len(replaced) == len(good)
        assert still_bad == bad
        numbers = [number for number, line in enumerate(lines) if line.strip()]
        assert [replaced.origin(index) for index in range(len(replaced))] == numbers


def test_text_that_is_longer_after_repair_leaves_space_for_the_next() -> None:
    lines = [b'{"text": "' + b"\xff" * 500 + b'"}', b'{"text": "two"}'] * 20
    found, _ = decoded(b"\n".join(lines), Format(on_error="replace"))
    assert list(found) == ["\ufffd".encode() * 500, b"two"] * 20


def test_utf8_in_strings_is_checked_as_python_checks_it() -> None:
    rnd = random.Random(2)
    leads = [0x41, 0x7F, 0x80, 0xBF, 0xC1, 0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF]
    characters = [
        "a" * 9,
        "é",
        "漢",
        "😀",
        "\ud7ff",
        "\ue000",
        "\U0010ffff",
        "\u0800",
        "\U00010000",
    ]
    for _ in range(5000):
        text = bytearray("".join(rnd.choices(characters, k=rnd.randrange(40))).encode())
        for _ in range(rnd.randrange(3)):
            text[rnd.randrange(len(text) + 1) :][:1] = b""
            text.insert(rnd.randrange(len(text) + 1), rnd.choice(leads))
        try:
            expected = bytes(text).decode().encode()
        except UnicodeDecodeError:
            expected = None
        assert quickly(b'{"text":"' + bytes(text) + b'"}', [b"text"]) == expected


def test_a_reader_refuses_bytes_outside_of_its_text() -> None:
    assert LineReader([b"text"]).read(b"\n\n\n\n", 2, 4, Rows(), 5) == (4, 7)
    reader = LineReader([b"text"])
    for at, stop in ((0, 5), (5, 5), (2, 1)):
        with pytest.raises(ValueError, match=r"bytes . to . of 4"):
            reader.read(b"1234", at, stop, Rows(), 0)
    with pytest.raises(ValueError, match="no key"):
        LineReader([])


def test_rows_are_a_sequence_that_stays_inside_its_buffer() -> None:
    starts, stops = np.array([0, 3, 3]), np.array([3, 3, 6])
    rows = Rows(b"onetwo", starts, stops)
    assert [*rows] == [b"one", b"", b"two"] == [rows[i] for i in range(-3, 0)]
    assert [*rows[1:]] == [b"", b"two"]
    assert [*rows[5:2]] == []
    assert rows[::-1] == [b"two", b"", b"one"]
    assert (len(rows), rows.size) == (3, 6)
    with pytest.raises(IndexError):
        rows[3]
    for wrong in ([4, 3, 3], [-1, 3, 3], [0, 3, 7]):
        with pytest.raises(ValueError, match=r"text . goes from"):
            Rows(b"onetwo", np.array(wrong), stops)
    assert len(Rows(b"", np.empty(0, np.int64), np.empty(0, np.int64))) == 0


def test_rows_are_encoded_as_the_texts_they_are(gpt2) -> None:
    texts = [b"Hello, world", b"", "é漢 tea".encode(), b"x" * 500]
    ends = np.cumsum([len(text) for text in texts])
    rows = Rows(b"".join(texts), ends - [len(text) for text in texts], ends)
    found, expected = np.zeros((2, 600), np.uint16)
    where, there = np.zeros((2, 4), np.uint64)
    n = gpt2.encode_documents(rows, found, where, end_token=50256)
    assert n == gpt2.encode_documents(texts, expected, there, end_token=50256)
    assert found[:n].tolist() == expected[:n].tolist()
    assert where.tolist() == there.tolist()


@pytest.mark.parametrize(
    "broken", [b"", b"\\x", b"\\u12g4", b"\\ud800", b"\\udc00\\ud800", b"\x01", b"\\"]
)
def test_escapes_at_any_place_of_a_long_string(broken: bytes) -> None:
    draw = random.Random(7)
    parts = [
        b"\\n",
        b'\\"',
        b"\\\\",
        b"\\u00e9",
        b"\\uD83D\\ude00",
        b"\\u0000",
        b"plain ",
        "é".encode(),
    ]
    reader = LineReader([b"text"])
    for size in range(1, 90):
        value = b"".join(draw.choices(parts, k=draw.randrange(40)))
        value = b"x" * size + value + broken + b"y" * draw.randrange(90)
        for line in (
            b'{"other": "%s", "text": "%s"}\n' % (value, value.replace(broken, b"")),
            b'{"text": "%s", "other": ["1"]}\n' % value,
        ):
            rows = Rows()
            at, _ = reader.read(line, 0, len(line), rows, 0)
            if broken:
                assert (at, len(rows)) == (0, 0), line
            else:
                assert [*rows] == [json.loads(line)["text"].encode()], line
