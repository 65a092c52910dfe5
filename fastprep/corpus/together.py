"""Small batches in a row as one: what is done for each batch is then done less often."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Iterable
from functools import partial

from fastprep.corpus.documents import Bad, Batch

# The part of a block below which a batch is small.
_SMALL = 8
# So many documents are put together at most: each is an object of its own.
_MOST_TEXTS = 10_000


def together(batches: Iterable[Batch], block_bytes: int) -> Generator[Batch]:
    """The same documents in fewer batches, none of them of more than a block because of it.

    Examples
    --------
    >>> small = [Batch([b"a"], True, 1, lambda i, o: ("a", o)) for _ in range(3)]
    >>> [batch.texts for batch in together(small, 100)]
    [[b'a', b'a', b'a']]
    """
    waiting: list[Batch] = []
    size = texts = 0
    for batch in batches:
        # The parts of a long document stay as they are. What goes on where they left off comes when
        # nobody waits, so it is the first to wait, as it should.
        small = batch.closed and batch.size * _SMALL < block_bytes
        fits = size + batch.size <= block_bytes and texts + len(batch.texts) <= _MOST_TEXTS
        if waiting and not (small and fits):
            yield _joined(waiting)
            waiting, size, texts = [], 0, 0
        if small:
            waiting.append(batch)
            size += batch.size
            texts += len(batch.texts)
        else:
            yield batch
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    texts: list[bytes | str] = []
    bad: list[Bad] = []
    ends = []
    for batch in batches:
        texts += batch.texts
        bad += batch.bad
        ends.append(len(texts))
    size = sum(batch.size for batch in batches)
    return Batch(texts, True, size, partial(_place, batches, ends), bad)


def _place(batches: list[Batch], ends: list[int], index: int, offset: int) -> tuple[str, int]:
    number = bisect_right(ends, index)
    return batches[number].place(index - (ends[number - 1] if number else 0), offset)
