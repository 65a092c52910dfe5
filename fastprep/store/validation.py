"""Which part of a corpus a document belongs to: a function of its bytes and nothing else."""

from __future__ import annotations

from hashlib import blake2b

# Documents are drawn by the first 64 bits of a hash that looks random whatever the text is.
_HASH_BYTES = 8


class Split:
    """Draws documents for validation.

    Which ones are drawn does not change with the order of documents, with the files they stand in, or
    with the number of workers; equal documents go the same way. What is drawn for a small fraction is
    drawn for a larger one, too.

    Parameters
    ----------
    validation
        what fraction of the documents to draw, from 0 to 1, both excluded.

    Examples
    --------
    >>> split = Split(0.1)
    >>> sum(split.is_validation(b"document %d" % number) for number in range(1000))
    107
    """

    def __init__(self, validation: float) -> None:
        #: Documents whose hash, as a big-endian number of 64 bits, is below this are drawn.
        self.below = int(validation * (1 << 8 * _HASH_BYTES))

    def is_validation(self, document: bytes | memoryview) -> bool:
        """Whether a document, as UTF-8, is drawn."""
        digest = blake2b(document, digest_size=_HASH_BYTES).digest()
        return int.from_bytes(digest, "big") < self.below
