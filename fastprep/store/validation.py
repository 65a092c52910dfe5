"""Draw of documents for validation, by a hash of their bytes."""

from __future__ import annotations

from hashlib import blake2b

# The first 64 bits of a cryptographic hash: uniform for any text.
_HASH_BYTES = 8


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
        digest = blake2b(document, digest_size=_HASH_BYTES).digest()
        return int.from_bytes(digest, "big") < self.below
