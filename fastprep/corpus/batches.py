"""Documents as batches of a block: what is larger is cut, small batches in a row are joined."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence

from fastprep.corpus.documents import Bad, Batch, JoinedPlaces, Places, ShiftedPlaces
from fastprep.encoding.cutting import cut_points
from fastprep_ext.base import Rows

# A batch smaller than this part of a block is joined with its neighbours.
_SMALL = 8
# The most documents, and the most batches, in a joined batch.
MAX_TEXTS = 10_000


def as_batches(
    rows: Rows, places: Places, bad: Sequence[Bad], block_bytes: int, cut: bool
) -> Iterator[Batch]:
    """Yield documents in batches of at most a block, or of one document that is longer.

    With ``cut``, a longer one comes in parts, as :func:`fastprep.corpus.reader.batches` says.
    """
    first = 0
    while first < len(rows):
        last, size = rows.reach(first, block_bytes)
        if cut and size > block_bytes:
            with rows.view_of(first) as text:
                edges = [0, *cut_points(text, block_bytes), size]
            for number in range(1, len(edges)):
                start, stop = edges[number - 1 : number + 1]
                part = rows.piece(first, start, stop)
                yield Batch(part, stop == size, ShiftedPlaces(places, start), bad)
                bad = ()
        else:
            whole = first == 0 and last == len(rows)
            yield Batch(rows if whole else rows.part(first, last), True, places, bad)
            bad = ()
        first = last
    if bad:
        yield Batch(Rows(), True, places, bad)


def join_small(batches: Iterable[Batch], block_bytes: int) -> Generator[Batch]:
    """Yield the same documents in fewer batches, none of which is larger than a block because of it.

    >>> from fastprep.corpus.documents import PlacesInFile
    >>> small = []
    >>> for number in range(3):
    ...     small.append(Batch(Rows(), True, PlacesInFile("a")))
    ...     small[-1].texts.append(b"a", number)
    >>> [[*batch.texts] for batch in join_small(small, 100)]
    [[b'a', b'a', b'a']]
    """
    waiting: list[Batch] = []
    size = texts = 0
    for batch in batches:
        # Parts of a long document pass through unjoined. Its last part arrives while nothing waits, so
        # it is the first of its group, as a batch that continues an open document must be.
        small = batch.closed and batch.size * _SMALL < block_bytes
        fits = size + batch.size <= block_bytes and texts + len(batch.texts) <= MAX_TEXTS
        if waiting and not (small and fits and len(waiting) < MAX_TEXTS):
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
    bad = [each for batch in batches for each in batch.bad]
    rows = Rows.joined([batch.texts for batch in batches])
    return Batch(rows, True, JoinedPlaces([batch.places for batch in batches]), bad)
