"""Batches of about a block: long documents are cut, consecutive small batches are joined."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence

from fastprep.corpus.documents import Bad, Batch, JoinedPlaces, OnError, Places, ShiftedPlaces
from fastprep.encoding.cutting import cut_points
from fastprep_ext.base import Rows

# A batch smaller than a block divided by this is joined with its neighbours.
_SMALL = 8
# Limit of documents per joined batch, and of files whose documents are read together.
MAX_TEXTS = 10_000
# Limit of places per joined batch: their numbers have 15 bits of an origin.
_MAX_PLACES = (1 << 15) - 1


def as_batches(
    rows: Rows,
    places: Places,
    bad: Sequence[Bad],
    block_bytes: int,
    cut: bool,
    ids: bool = False,
) -> Iterator[Batch]:
    """Yield documents in batches of at most a block, or of one longer document.

    With ``ids`` they are token ids, uint32 each, and are not cut.

    With ``cut`` a longer document is yielded in parts; see :func:`fastprep.corpus.reader.batches`.
    """
    first = 0
    while first < len(rows):
        last, size = rows.reach(first, block_bytes)
        if cut and size > block_bytes and not ids:
            with rows.view_of(first) as text:
                edges = [0, *cut_points(text, block_bytes), size]
            for number in range(1, len(edges)):
                start, stop = edges[number - 1 : number + 1]
                part = rows.piece(first, start, stop)
                yield Batch(part, stop == size, ShiftedPlaces(places, start), bad)
                bad = ()
        else:
            whole = first == 0 and last == len(rows)
            yield Batch(rows if whole else rows.part(first, last), True, places, bad, ids=ids)
            bad = ()
        first = last
    if bad:
        yield Batch(Rows(), True, places, bad)


def join_small(batches: Iterable[Batch], block_bytes: int) -> Generator[Batch]:
    """Join consecutive small batches, up to a block, and yield the batches.

    >>> from fastprep.corpus.documents import PlacesInFile
    >>> small = []
    >>> for number in range(3):
    ...     small.append(Batch(Rows(), True, PlacesInFile("a")))
    ...     small[-1].texts.append(b"a", number)
    >>> [[*batch.texts] for batch in join_small(small, 100)]
    [[b'a', b'a', b'a']]
    """
    queued: list[Batch] = []
    size = texts = places = 0
    for batch in batches:
        # Parts of a long document pass through unjoined. Its last part arrives while nothing is queued,
        # so it is the first of its group, as a batch that continues an open document must be.
        small = batch.closed and batch.size * _SMALL < block_bytes and batch.passed is None
        fits = size + batch.size <= block_bytes and texts + len(batch.texts) <= MAX_TEXTS
        more = len(_places_of(batch))
        alike = not queued or queued[0].ids == batch.ids
        if queued and not (small and fits and alike and places + more <= _MAX_PLACES):
            yield _joined(queued)
            queued, size, texts, places = [], 0, 0, 0
        if small:
            queued.append(batch)
            size += batch.size
            texts += len(batch.texts)
            places += more
        else:
            yield batch
    if queued:
        yield _joined(queued)


def _joined(batches: list[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    bad = [each for batch in batches for each in batch.bad]
    places: list[Places] = []
    firsts = []
    for batch in batches:
        firsts.append(len(places))
        places += _places_of(batch)
    rows = Rows.joined([batch.texts for batch in batches], firsts)
    return Batch(rows, True, JoinedPlaces(places), bad, ids=batches[0].ids)


def _places_of(batch: Batch) -> Sequence[Places]:
    """Return the places that the numbers in a batch's origins count."""
    return batch.places.places if isinstance(batch.places, JoinedPlaces) else (batch.places,)


def readable(batch: Batch, on_error: OnError) -> tuple[Rows, Sequence[Bad]]:
    """Return the texts of a batch without those that are not UTF-8, or repaired, and the bad ones.

    With `on_error` ``"raise"`` the texts are returned as they are: their user finds what is not UTF-8.
    """
    texts = batch.texts
    if on_error == "raise":
        return texts, ()
    bad, repaired = [], {}
    for index in texts.invalid():
        text = texts[index]
        try:
            text.decode()
        except UnicodeDecodeError as error:
            place, _ = batch.place(index, error.start)
            bad.append(Bad(place, f"0x{text[error.start]:02x} is not UTF-8 there"))
            repaired[index] = text.decode("utf-8", "replace").encode()
    if bad and on_error == "skip":
        return texts.without([*repaired]), bad
    return texts.replaced(repaired) if bad else texts, bad
