"""Rows of documents: the compiled passes over them agree with plain Python."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import documents as reference
from texts import rows_of

from fastprep.corpus import reader
from fastprep.corpus.documents import Format
from fastprep.corpus.reader import batches, read, whole
from fastprep.errors import InvalidInput, InvalidUtf8
from fastprep_ext.base import Rows, copy_bytes
from fastprep_ext.corpus import load_files, modified_times, split_documents

TEXTS = st.lists(
    st.sampled_from([b"-", b"--", b" ", b"\n", b"\x0b", b"\x1c", b"a", b"\xff", b"word"])
)


def held(content: bytes) -> Rows:
    rows = Rows()
    assert rows.read(io.BytesIO(content).readinto, len(content) + 3) == len(content)
    return rows


@settings(max_examples=1000, deadline=None)
@given(
    parts=TEXTS,
    separator=st.sampled_from([b"-", b"--", b"---", b"a-", None]),
    limit=st.integers(0, 40),
    continued=st.booleans(),
    final=st.booleans(),
)
def test_text_is_split_as_bytes_split_splits_it(
    parts: list[bytes], separator: bytes | None, limit: int, continued: bool, final: bool
) -> None:
    text = b"".join(parts)
    rows = held(text)
    taken, still_continued, ended = split_documents(rows, separator, limit, continued, final, 1000)
    documents, expected = reference.split_documents(text, separator, limit, continued, final)
    assert [*rows] == [document for _, document in documents]
    origins = [rows.origin(index) for index in range(len(rows))]
    assert origins == [1000 + start for start, _ in documents]
    if not ended or final:
        assert taken == expected
    assert still_continued == (continued and not len(rows))
    assert rows.size == sum(map(len, rows))


def test_more_documents_than_rows_have_room_for_are_split() -> None:
    rows = held(b"x-" * 5000)
    assert split_documents(rows, b"-", 1 << 40, False, True, 0) == (10_000, False, True)
    assert [*rows] == [b"x"] * 5000
    with pytest.raises(ValueError, match="empty separator"):
        split_documents(rows, b"", 0, False, True, 0)


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(st.binary(max_size=400), max_size=20), below=st.integers(0, 2**64 - 1))
def test_documents_are_drawn_by_the_hash_of_their_bytes(texts: list[bytes], below: int) -> None:
    rest, drawn = rows_of(*texts).draw(below)
    expected = [reference.is_drawn(text, below) for text in texts]
    assert [*drawn] == [text for text, marked in zip(texts, expected, strict=True) if marked]
    assert [*rest] == [text for text, marked in zip(texts, expected, strict=True) if not marked]
    origins = [drawn.origin(index) for index in range(len(drawn))]
    assert origins == [number for number, marked in enumerate(expected) if marked]


@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 255, 256, 257, 384, 5000])
def test_the_hash_is_right_at_the_edges_of_its_blocks(size: int) -> None:
    text = bytes(range(256)) * 20
    edge = int.from_bytes(__import__("hashlib").blake2b(text[:size], digest_size=8).digest(), "big")
    assert [len(part) for part in rows_of(text[:size]).draw(edge)] == [1, 0]
    assert [len(part) for part in rows_of(text[:size]).draw(edge + 1)] == [0, 1]


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(st.binary(max_size=6) | st.text(max_size=40).map(str.encode), max_size=12))
def test_documents_that_are_not_utf8_are_found(texts: list[bytes]) -> None:
    def is_invalid(text: bytes) -> bool:
        try:
            text.decode()
        except UnicodeDecodeError:
            return True
        return False

    expected = [number for number, text in enumerate(texts) if is_invalid(text)]
    rows = rows_of(*texts)
    assert rows.invalid() == expected
    kept = [text for number, text in enumerate(texts) if number not in expected]
    assert [*rows.without(expected)] == kept
    replaced = rows.replaced(dict.fromkeys(expected, b"fixed"))
    assert [*replaced] == [b"fixed" if is_invalid(text) else text for text in texts]
    assert [replaced.origin(index) for index in range(len(texts))] == [*range(len(texts))]


def test_rows_over_the_same_bytes_outlive_those_they_come_from() -> None:
    rows = rows_of(*(b"document %d" % number for number in range(1000)))
    part, piece = rows.part(10, 20).part(5, 7), rows.piece(30, 9, 11)
    del rows
    Rows.joined([rows_of(b"x" * 10_000) for _ in range(50)], range(50))
    assert [*part, *piece] == [b"document 15", b"document 16", b"30"]
    with pytest.raises(ValueError, match="borrowed"):
        part.append(b"more", 0)
    with pytest.raises(IndexError):
        part.origin(2)
    with pytest.raises(IndexError):
        part.piece(2, 0, 0)
    with pytest.raises(ValueError, match="goes from"):
        part.piece(0, 5, 100_000)


def test_bytes_are_copied_inside_of_their_buffer_alone() -> None:
    target = bytearray(4)
    assert copy_bytes(b"ab", memoryview(target), 2) == 2
    assert target == b"\0\0ab"
    for at in (-1, 3):
        with pytest.raises(ValueError, match="do not fit"):
            copy_bytes(b"ab", target, at)


# -- many small files ------------------------------------------------------------------------------


def one_by_one(paths: list[Path], form: Format) -> list[bytes]:
    return [text for path in paths for batch in batches(whole(path), form) for text in batch.texts]


@pytest.mark.parametrize("suffix", ["txt", "jsonl"])
@pytest.mark.parametrize("on_error", ["raise", "skip", "replace"])
def test_small_files_together_have_the_documents_of_each(
    tmp_path: Path, suffix: str, on_error: str
) -> None:
    paths = []
    for number in range(50):
        texts = [f"text {number}.{index} é" for index in range(number % 4)] or [""]
        content = (
            "<|endoftext|>".join(texts)
            if suffix == "txt"
            else "".join(json.dumps({"text": text}) + "\n" for text in texts)
        ).encode()
        mark = b"\xef\xbb\xbf" if number % 7 == 0 else b""
        end = b"\n" if number % 5 == 0 else b""
        paths.append(tmp_path / f"{number:02}.{suffix}")
        paths[-1].write_bytes(mark + content + end)
        if not paths[-1].stat().st_size:
            paths.pop().unlink()
    form = Format(on_error=on_error)  # type: ignore[arg-type]
    found = list(read([whole(path) for path in paths], form))
    assert len(found) == 1
    assert [*found[0].texts] == one_by_one(paths, form)


def test_a_place_in_one_of_many_small_files_is_named(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}.txt").write_text("one<|endoftext|>two")
        (tmp_path / f"{number:02}.jsonl").write_text('{"text": "one"}\n\n{"text": "two"}\n')
    spans = [whole(path) for path in sorted(tmp_path.glob("*.txt"))]
    (batch,) = read(spans, Format())
    assert batch.place(7, 1) == (f"{tmp_path}/03.txt, byte 17", 17)
    spans = [whole(path) for path in sorted(tmp_path.glob("*.jsonl"))]
    (batch,) = read(spans, Format())
    assert batch.place(7, 1) == (f"{tmp_path}/03.jsonl, line 3, byte 1 of its text", 0)
    (tmp_path / "05.jsonl").write_text('{"text": "one"}\n{"text": 2}\n')
    spans = [whole(path) for path in sorted(tmp_path.glob("*.jsonl"))]
    with pytest.raises(InvalidInput, match=r"05\.jsonl, line 2: Expected `str`"):
        list(read(spans, Format()))
    (tmp_path / "06.jsonl").write_bytes(b'{"text": "\xff"}\n')
    spans = [whole(tmp_path / f"{number:02}.jsonl") for number in (4, 6)]
    with pytest.raises(InvalidUtf8, match=r"06\.jsonl, line 1, byte 10 of the line"):
        list(read(spans, Format()))


def test_places_are_right_in_runs_of_small_files_of_different_kinds(tmp_path: Path) -> None:
    spans = []
    for number in range(60):
        suffix = ("txt", "jsonl")[number // 7 % 2]
        path = tmp_path / f"{number:02}.{suffix}"
        path.write_text(
            f"text {number}" if suffix == "txt" else json.dumps({"text": f"text {number}"})
        )
        spans.append(whole(path))
    (batch,) = read(spans, Format())
    assert [*batch.texts] == [b"text %d" % number for number in range(60)]
    for number, span in enumerate(spans):
        place, _ = batch.place(number, 2)
        assert place.startswith(f"{span.path}, "), place


@pytest.mark.parametrize("damage", ["gone", "longer", "a folder"])
def test_a_small_file_that_changed_is_an_error_that_names_it(tmp_path: Path, damage: str) -> None:
    for number in range(9):
        (tmp_path / f"{number}.txt").write_text(f"text {number}")
    spans = [whole(path) for path in sorted(tmp_path.iterdir())]
    changed = tmp_path / "5.txt"
    changed.unlink()
    if damage == "longer":
        changed.write_text("text 5, and more")
    if damage == "a folder":
        changed.mkdir()
    found = read(spans, Format())
    with pytest.raises((InvalidInput, IsADirectoryError), match=r"5\.txt"):
        list(found)


def test_files_are_loaded_until_one_cannot_be(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode() * 3)
    paths = [bytes(tmp_path / name) for name in ("a", "b", "missing", "c")]
    rows = Rows()
    assert load_files(paths, [3, 3, 3, 3], rows) == 2
    assert bytes(rows.held()) == b"aaabbb"
    assert load_files(paths[:1], [4], Rows()) == 0
    times = modified_times(paths)
    assert times == [*(Path(p.decode()).stat().st_mtime_ns for p in paths[:2]), None, times[3]]


def test_a_small_file_after_a_large_one_is_read_in_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [5, 7, 5000, 4, 4, 4, 9000, 3]
    for number, size in enumerate(sizes):
        (tmp_path / f"{number}.txt").write_text(f"{number}" * size)
    paths = sorted(tmp_path.iterdir())
    spans = [whole(path) for path in paths]
    texts = [
        text for batch in read(spans, Format(), block_bytes=4000, cut=False) for text in batch.texts
    ]
    assert texts == one_by_one(paths, Format())
    monkeypatch.setattr(reader, "end_of_small", lambda spans, first, form, block_bytes: first)
    assert [t for b in read(spans, Format(), block_bytes=4000, cut=False) for t in b.texts] == texts


def test_rows_of_an_array_are_not_copied() -> None:
    text = bytearray(b"onetwo")
    rows = Rows(text, np.array([0, 3]), np.array([3, 6]), np.array([7, 9]))
    text[0] = ord("O")
    assert ([*rows], rows.origin(1)) == ([b"One", b"two"], 9)


@pytest.mark.parametrize("separator", [b"a", b"ab", b"aab", b"abab", b"ab" * 40, b"<|endoftext|>"])
def test_separators_are_found_where_bytes_split_finds_them(separator: bytes) -> None:
    draw = random.Random(len(separator))
    alphabet = [bytes([byte]) for byte in set(separator)] + [separator, separator[:-1], b"x"]
    for size in [*range(40), 200, 1000]:
        text = b"".join(draw.choices(alphabet, k=size))
        rows = Rows()
        rows.read(
            lambda buffer, text=text: buffer.__setitem__(slice(None), text) or len(text), len(text)
        )
        split_documents(rows, separator, len(text) + 1, False, True, 0)
        assert [*rows] == [part for part in text.split(separator) if part]
