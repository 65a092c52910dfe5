"""Reader of corpus files: any division into blocks and ranges gives the same documents."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import bad_in, read, spans_of

from fastprep.corpus.documents import Format
from fastprep.corpus.jsonlines import LineDecoder
from fastprep.corpus.reader import batches, can_split, documents, whole
from fastprep.encoding import cutting
from fastprep.errors import InvalidInput, InvalidUtf8

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    directory = tmp_path_factory.mktemp("corpus")

    def write(content: bytes | str, name: str = "a.txt") -> Path:
        path = directory / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def by_hand(content: bytes, separator: str | None) -> list[bytes]:
    """Return the documents of a .txt file by definition, from the whole file at once."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    pieces = [content] if separator is None else content.split(separator.encode())
    return [piece for piece in pieces if piece and not piece.isspace()]


TEXT = st.text(alphabet=list("ab \n|<>é漢\u3000😀"), max_size=60)


@settings(max_examples=600, deadline=None)
@given(
    pieces=st.lists(TEXT, max_size=6),
    separator=st.sampled_from(["|", "<|>", "\n\n", "aba", "é|é", "漢", "a b"]),
    mark=st.booleans(),
    block_bytes=st.integers(1, 40),
    cuts=st.lists(st.integers(0, 400), max_size=4),
    cut=st.booleans(),
)
def test_blocks_ranges_and_cuts_never_change_the_documents_of_a_text_file(
    write: Write,
    pieces: list[str],
    separator: str,
    mark: bool,
    block_bytes: int,
    cuts: list[int],
    cut: bool,
) -> None:
    content = ("\ufeff" * mark + separator.join(pieces)).encode()
    path = write(content)
    found = read(spans_of(path, cuts), Format(separator), block_bytes=block_bytes, cut=cut)
    assert found == by_hand(content, separator)


@settings(max_examples=200, deadline=None)
@given(
    text=TEXT, separator=st.sampled_from(["\n\n", "aa", "abab"]), cuts=st.lists(st.integers(0, 99))
)
def test_a_separator_that_overlaps_itself_is_found_alike_from_any_range(
    write: Write, text: str, separator: str, cuts: list[int]
) -> None:
    content = (text.replace(" ", separator) + separator[0] * 7 + text).encode()
    path = write(content)
    assert read(spans_of(path, cuts), Format(separator)) == by_hand(content, separator)


def test_a_long_run_of_newlines_is_read_back_in_step(write: Write) -> None:
    content = b"x" + b"\n" * 200_001 + b"y\n\nz"
    path = write(content)
    found = read(spans_of(path, [100_000, 150_001, 200_000]), Format("\n\n"))
    assert found == by_hand(content, "\n\n") == [b"x", b"\ny", b"z"]


LINES = st.lists(
    st.one_of(
        st.builds(
            lambda text, ascii_only, more: json.dumps(
                {"id": 1, "text": text, **more}, ensure_ascii=ascii_only
            ),
            TEXT,
            st.booleans(),
            st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from([[{}], "}\n{", None])),
        ),
        st.sampled_from(["", " ", "\t"]),
    ),
    max_size=8,
)


@settings(max_examples=400, deadline=None)
@given(
    lines=LINES,
    newline=st.sampled_from(["\n", "\r\n"]),
    mark=st.booleans(),
    block_bytes=st.integers(1, 60),
    cuts=st.lists(st.integers(0, 800), max_size=4),
    cut=st.booleans(),
)
def test_blocks_ranges_and_cuts_never_change_the_documents_of_json_lines(
    write: Write,
    lines: list[str],
    newline: str,
    mark: bool,
    block_bytes: int,
    cuts: list[int],
    cut: bool,
) -> None:
    path = write("\ufeff" * mark + newline.join(lines), "a.jsonl")
    expected = [json.loads(line)["text"].encode() for line in lines if line.strip()]
    found = read(spans_of(path, cuts), Format(), block_bytes=block_bytes, cut=cut)
    assert found == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (" ", []),
        ("\n", []),
        ("one", ["one"]),
        ("one<|endoftext|>", ["one"]),
        ("one\n<|endoftext|>\n", ["one\n"]),
        ("<|endoftext|><|endoftext|>one", ["one"]),
        ("one<|endoftext|> \t\r\n<|endoftext|>\ntwo ", ["one", "\ntwo "]),
        ("one\r\ntwo", ["one\r\ntwo"]),
        ("one<|endoftext|>\u3000", ["one", "\u3000"]),
    ],
)
def test_a_blank_piece_is_no_document_and_nothing_is_stripped_from_others(
    write: Write, content: str, expected: list[str]
) -> None:
    assert list(documents([whole(write(content))], Format())) == [d.encode() for d in expected]


def test_every_json_object_is_a_document_even_with_an_empty_text(write: Write) -> None:
    path = write('{"text":""}\n\n{"text":" "}\n', "a.jsonl")
    assert list(documents([whole(path)], Format())) == [b"", b" "]


def test_without_a_separator_the_file_is_one_document(write: Write) -> None:
    path = write("one<|endoftext|>two\n")
    assert list(documents([whole(path)], Format(None))) == [b"one<|endoftext|>two\n"]
    assert not can_split("a.txt", Format(None))
    assert can_split("a.jsonl", Format(None))


def test_a_document_longer_than_a_block_comes_in_parts_of_about_a_block(write: Write) -> None:
    text = b"word " * 5000
    found = [len(b.texts[0]) for b in batches(whole(write(text)), Format(None), block_bytes=1000)]
    assert sum(found) == len(text)
    assert max(found) <= 2000
    line = write(json.dumps({"text": text.decode()}), "a.jsonl")
    found = [len(b.texts[0]) for b in batches(whole(line), Format(), block_bytes=1000)]
    assert sum(found) == len(text)
    assert max(found) <= 1000


def test_another_field_can_hold_the_text(write: Write) -> None:
    path = write('{"text": 1, "body\\u0021": "one"}\n', "a.jsonl")
    assert list(documents([whole(path)], Format(field="body!"))) == [b"one"]


def test_a_lone_surrogate_escape_becomes_the_replacement_character(write: Write) -> None:
    path = write('{"text": "a\\ud83d"}\n{"text": "\\ude00b\\ud83d\\ude00"}\n', "a.jsonl")
    found = [text.decode() for text in documents([whole(path)], Format())]
    assert found == ["a\ufffd", "\ufffdb\U0001f600"]


GOOD = b'{"text": "good"}\n'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"text": "one"', "truncated"),
        (b'{"text": 1}', "Expected `str`, got `int`"),
        (b'{"txt": "one"}', "missing required field `text`"),
        (b'["one"]', "Expected `object`, got `array`"),
        (b'{"text": "one"} {"text": "two"}', "trailing"),
        (b'{"text":\n"one"}', "truncated"),
        (b'{"text": "one\\ud83d"} x', "truncated|malformed"),
        (b'{"text": 1, "x": "\\ud83d"}', "Expected `str`|truncated|malformed"),
        (b'{"x":' + b"[" * 100_000, "nested too deeply"),
        (b"\x00", "malformed"),
    ],
)
def test_a_bad_line_is_named_by_file_and_number(write: Write, line: bytes, message: str) -> None:
    path = write(GOOD * 2 + b"\n" + line + b"\n" + GOOD, "bad.jsonl")
    for spans in ([whole(path)], spans_of(path, [20])):
        with pytest.raises(InvalidInput, match=rf"bad\.jsonl, line 4.*({message})"):
            list(documents(spans, Format()))


def test_objects_that_share_and_span_lines_are_refused_even_if_their_count_is_right(
    write: Write,
) -> None:
    values = b'{"text":\n"one"}\n{"text":"two"} {"text":"three"}\n'
    path = write(GOOD + values, "bad.jsonl")
    with pytest.raises(InvalidInput, match="line 2"):
        list(documents([whole(path)], Format()))
    # A file whose first object continues on the next line is not lines, but one object after another.
    path = write(values, "good.jsonl")
    assert list(documents([whole(path)], Format())) == [b"one", b"two", b"three"]


def test_invalid_utf8_in_a_json_line_is_named_by_line_and_byte(write: Write) -> None:
    path = write(GOOD + b'{"text": "a\xffb"}\n', "bad.jsonl")
    with pytest.raises(InvalidUtf8, match=r"bad\.jsonl, line 2, byte 11 of the line: 0xff") as info:
        list(documents([whole(path)], Format()))
    assert info.value.offset == 11


@pytest.mark.parametrize("field", ["", "\ud800", 'a"b', 5])
def test_a_field_that_cannot_be_a_key_is_refused(field: str) -> None:
    with pytest.raises(InvalidInput, match="field"):
        LineDecoder(Format(field=field))


@pytest.mark.parametrize("separator", ["", "\ud800", b"|"])
def test_a_separator_that_cannot_stand_in_text_is_refused(separator: str) -> None:
    with pytest.raises(InvalidInput, match="separator"):
        Format(separator)


def test_only_regular_files_of_known_kinds_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").touch()
    (tmp_path / "noext").touch()
    os.mkfifo(tmp_path / "pipe.txt")
    for name, message in [
        ("a.pdf", r"a\.pdf: files ending in '\.pdf'.*\.txt, \.jsonl"),
        ("noext", "noext: files without a suffix cannot be read; supported are"),
        (".", "a directory; pass the files in it"),
        ("pipe.txt", "not a regular file"),
        ("none.txt", "no such file"),
        ("a.pdf/b.txt", "no such file"),
        ("a\0.txt", "NUL"),
        ("\udcff.txt", "not UTF-8"),
    ]:
        with pytest.raises(InvalidInput, match=message):
            whole(tmp_path / name)


def test_a_file_that_changed_its_size_is_refused(write: Write) -> None:
    path = write("one")
    span = whole(path)
    path.write_text("one two")
    with pytest.raises(InvalidInput, match="has 7 bytes, but had 3"):
        list(documents([span], Format()))


def test_a_cut_needs_something_visible_before_it() -> None:
    spaces = "\u0085\u00a0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000 \t\n\r\x0b\x0c"
    for space in spaces:
        assert cutting.last_cut(f"{space} b".encode(), 0, 9) == 0, repr(space)
        assert cutting.last_cut(f"{space}\nb".encode(), 0, 9) == 0, repr(space)
        assert cutting.last_cut(f"a\n{space}b".encode(), 0, 9) == 0, repr(space)
    assert cutting.last_cut(b"a\n/b", 0, 4) == 0
    assert cutting.last_cut("é b".encode(), 0, 4) == 2
    assert cutting.last_cut("。\n七".encode(), 0, 7) == 4


@pytest.mark.parametrize(
    ("line", "mends"),
    [
        (b'{"title": "One."}', ["(--field)", "(--on-error skip)"]),
        (b'{"text": null}', ["(--field)", "(--on-error skip)"]),
        (b'{"text": "\xff"}', ["convert the file to UTF-8", "(--on-error)"]),
    ],
)
def test_errors_of_bad_lines_say_how_to_fix_them(
    tmp_path: Path, line: bytes, mends: list[str]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "One."}\n' + line)
    with pytest.raises(InvalidInput, match=r"a\.jsonl, line 2") as error:
        read([whole(path)], Format())
    assert all(mend in str(error.value) for mend in mends)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.txt.gz", "a.jsonl.gz"])
def test_a_file_of_no_bytes_is_named_or_listed(write: Write, name: str) -> None:
    """An empty file may be a failed copy: it must not pass for a file without documents."""
    spans = [whole(write(b"", name)), whole(write("One.", "b.txt"))]
    with pytest.raises(
        InvalidInput, match=rf"{name}: an empty file, of 0 bytes: .*--on-error skip"
    ):
        read(spans, Format())
    for on_error in ("skip", "replace"):
        form = Format(on_error=on_error)
        assert read(spans, form) == [b"One."]
        (bad,) = bad_in(spans, form)
        assert bad.place.endswith(name)
        assert bad.reason == "an empty file, of 0 bytes: a copy or a download may have failed"
