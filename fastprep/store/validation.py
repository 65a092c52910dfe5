"""Draw of documents for validation, by a hash of their bytes: a fraction of them, or a number."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# The first 64 bits of a cryptographic hash: uniform for any text.
_HASH_BYTES = 8


def hash_of(document: bytes | memoryview) -> int:
    """Return the hash of a document by which it is drawn.

    >>> f"{hash_of(b'document 40'):016x}"
    '0c70b0a2bb50d30b'
    """
    return int.from_bytes(blake2b(document, digest_size=_HASH_BYTES).digest(), "big")


class ValidationDraw:
    """Draw of a fraction of the documents, from 0 to 1, both excluded.

    It does not depend on the order of documents, on their files or on the number of workers, and equal
    documents have the same result. A document drawn for a small fraction is also drawn for a larger one.

    >>> draw = ValidationDraw(0.1)
    >>> sum(draw.is_validation(b"document %d" % number) for number in range(1000))
    107
    """

    def __init__(self, validation: float) -> None:
        #: A document is drawn if its hash, as a big-endian number of 64 bits, is below this.
        self.below: int = int(validation * (1 << 8 * _HASH_BYTES))

    def is_validation(self, document: bytes | memoryview) -> bool:
        """Return whether a document, as UTF-8, is drawn."""
        return hash_of(document) < self.below

    @property
    def limit(self) -> Limit:
        """The same rule as a limit."""
        return Limit(self.below, -1)


class Limit(NamedTuple):
    """The hash and the key of the last document for validation.

    Documents are drawn in the order of their hashes, and of their keys where hashes are equal, as those
    of equal documents are. With a key of -1 only documents with smaller hashes are drawn.
    """

    hash: int
    key: int

    def draws(
        self, hashes: npt.NDArray[np.uint64], keys: npt.NDArray[np.uint64]
    ) -> npt.NDArray[Any]:
        """Return for each document whether it is for validation."""
        import numpy as np

        drawn = hashes < np.uint64(self.hash)
        if self.key >= 0:
            drawn |= (hashes == np.uint64(self.hash)) & (keys <= np.uint64(self.key))
        return drawn


def limit_of(count: int, entries: Callable[[], Iterable[npt.NDArray[Any]]]) -> Limit:
    """Return the limit that draws exactly `count` documents.

    `entries` returns arrays with the ``hash`` and ``key`` of at least that many documents, at each of up
    to eight calls. Memory does not grow with `count`.

    >>> import numpy as np
    >>> documents = np.array([(5, 0), (3, 1), (5, 2)], [("hash", "<u8"), ("key", "<u8")])
    >>> limit_of(2, lambda: [documents])
    Limit(hash=5, key=0)
    """
    smallest, rank, equal = _smallest(count, lambda: (each["hash"] for each in entries()))
    if rank == equal:
        return Limit(smallest, (1 << 64) - 1)
    of_hash = lambda: (each["key"][each["hash"] == smallest] for each in entries())  # noqa: E731
    return Limit(smallest, _smallest(rank, of_hash)[0])


def _smallest(
    rank: int, values: Callable[[], Iterable[npt.NDArray[np.uint64]]]
) -> tuple[int, int, int]:
    """Return the value of a rank, counted from 1, the rank among equal values, and their number.

    The value is found 16 bits at a time, by counting.
    """
    import numpy as np

    found = equal = 0
    for shift in (48, 32, 16, 0):
        counts = np.zeros(1 << 16, np.int64)
        for some in values():
            rest = some >> np.uint64(shift)
            if shift < 48:
                rest = rest[rest >> np.uint64(16) == found]
            counts += np.bincount((rest & np.uint64(0xFFFF)).astype(np.int64), minlength=1 << 16)
        below = np.cumsum(counts)
        digit = int(np.searchsorted(below, rank))
        equal = int(counts[digit])
        rank -= int(below[digit]) - equal
        found = found << 16 | digit
    return found, rank, equal
