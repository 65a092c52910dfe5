"""Batches that are joined, or produced ahead by a thread, have the same documents."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import background_threads
from texts import rows_of

from fastprep.corpus import reader as corpus
from fastprep.corpus.batches import join_small
from fastprep.corpus.documents import Bad, Batch, Format, PlacesInRows
from fastprep.corpus.reader import batches, read, whole
from fastprep.errors import InvalidInput
from fastprep.system.threads import map_in_order, produce_ahead

PARTS = st.lists(
    st.tuples(
        st.lists(st.binary(max_size=20), min_size=1, max_size=5), st.booleans(), st.booleans()
    ),
    max_size=12,
)


def put_together(found: Iterator[Batch]) -> tuple[list[bytes], list[Bad]]:
    texts: list[bytes] = []
    bad: list[Bad] = []
    closed = True
    for batch in found:
        more = [*batch.texts]
        assert sum(map(len, more)) <= batch.size
        if not closed:
            texts[-1] += more.pop(0)
        texts += more
        bad += batch.bad
        closed = batch.closed
    return texts, bad


@settings(max_examples=300, deadline=None)
@given(parts=PARTS, block_bytes=st.integers(1, 400))
def test_joined_batches_have_the_same_documents_places_and_faults(
    parts: list[tuple[list[bytes], bool, bool]], block_bytes: int
) -> None:
    made = []
    for number, (texts, closed, faulty) in enumerate(parts):
        bad = [Bad(str(number), "")] if faulty else []
        closed = closed or number == len(parts) - 1
        made.append(Batch(rows_of(*texts), closed, PlacesInRows(f"{number}:{{}}".format), bad))
    joined = list(join_small(made, block_bytes))
    assert put_together(iter(joined)) == put_together(iter(made))
    largest = max((batch.size for batch in made), default=0)
    assert all(batch.size <= max(block_bytes, largest) for batch in joined)
    places = [b.place(i, 3) for b in joined for i in range(len(b.texts))]
    assert places == [b.place(i, 3) for b in made for i in range(len(b.texts))]


def test_a_thousand_small_files_are_a_few_batches(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"{number:04}.txt").write_text(f"text {number}")
    spans = [whole(path) for path in sorted(tmp_path.iterdir())]
    found = list(read(spans, Format()))
    assert len(found) == 1
    assert [*found[0].texts] == [f"text {number}".encode() for number in range(1000)]
    assert found[0].place(500, 2) == (f"{tmp_path}/0500.txt, byte 2", 2)


def test_a_packed_file_that_is_unpacked_ahead_has_the_same_documents_and_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "_MIN_BYTES_FOR_THREAD", 1)
    path = tmp_path / "a.jsonl.gz"
    lines = b"".join(b'{"text": "text %d"}\n' % number for number in range(5000))
    path.write_bytes(gzip.compress(lines))
    expected = put_together(batches(whole(path), Format(), block_bytes=1000))
    assert put_together(read([whole(path)], Format(), block_bytes=1000)) == expected
    path.write_bytes(gzip.compress(lines + b'{"text": 5}\n'))
    with pytest.raises(InvalidInput, match=r"a\.jsonl\.gz, line 5001"):
        list(read([whole(path)], Format(), block_bytes=1000))
    assert not background_threads()


def test_a_consumer_that_stops_early_leaves_no_thread_and_no_open_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "_MIN_BYTES_FOR_THREAD", 1)
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"word " * 100_000))
    found = read([whole(path)], Format(), block_bytes=1000)
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert not background_threads()


def test_a_consumer_that_stops_early_does_not_hang_if_closing_fails() -> None:
    def things() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            raise OSError("the connection is gone")

    found = produce_ahead(things())
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert not background_threads()


def test_what_is_made_ahead_is_not_made_without_end() -> None:
    made = []

    def things() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    found = produce_ahead(things())
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    assert len(made) < 10
    assert list(found) == list(range(3, 1000))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_what_threads_make_comes_in_order_and_is_not_made_without_end(threads: int) -> None:
    taken = []

    def things() -> Iterator[int]:
        for number in range(300):
            taken.append(number)
            yield number

    def make(number: int) -> str:
        if number % 7 == 0:
            time.sleep(0.0005)
        return str(number)

    found = map_in_order(make, things(), threads)
    assert [next(found) for _ in range(3)] == ["0", "1", "2"]
    assert len(taken) < 3 + threads + 4
    assert list(found) == [str(number) for number in range(3, 300)]
    assert list(map_in_order(make, iter([5]), threads)) == ["5"]
    assert list(map_in_order(make, iter(()), threads)) == []
    assert not background_threads()


@pytest.mark.parametrize("fails", ["the thing", "what is made of it"])
def test_of_two_errors_the_first_in_order_is_raised_after_what_comes_before_it(fails: str) -> None:
    def things() -> Iterator[int]:
        for number in range(100):
            if fails == "the thing" and number == 40:
                raise ValueError("40")
            yield number

    def make(number: int) -> int:
        if number == 38 and fails != "the thing":
            time.sleep(0.01)
            raise ValueError("38")
        if number == 39 and fails != "the thing":
            raise ValueError("39")
        return number

    found = map_in_order(make, things(), 3)
    made: list[int] = []
    first = 40 if fails == "the thing" else 38
    with pytest.raises(ValueError, match=str(first)):
        made.extend(found)
    assert made == list(range(first))
    assert not background_threads()


def test_a_consumer_of_mapped_items_that_stops_early_leaves_no_thread() -> None:
    found = map_in_order(str, iter(range(1000)), 4)
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert not background_threads()
