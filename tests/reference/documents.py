"""Reference readers of documents: what the compiled passes over Rows must agree with."""

from __future__ import annotations

from hashlib import blake2b


def split_documents(
    text: bytes, separator: bytes | None, limit: int, continued: bool, final: bool
) -> tuple[list[tuple[int, bytes]], int]:
    """Return the documents of a text with where each starts, and how many bytes they took.

    >>> split_documents(b"one--two-- --thr", b"--", 100, False, False)
    ([(0, b'one'), (5, b'two')], 13)
    """
    pieces = [text] if separator is None else text.split(separator)
    rest = b"" if final else pieces.pop()
    documents, start = [], 0
    for number, piece in enumerate(pieces):
        continued = continued and number == 0
        if start >= limit and not continued:
            return documents, start
        if continued or not (piece == b"" or piece.isspace()):
            documents.append((start, piece))
        start += len(piece) + len(separator or b"")
    return documents, len(text) - len(rest)


def is_drawn(document: bytes, below: int) -> bool:
    """Return whether the first 64 bits of a document's BLAKE2b hash, big-endian, are below a number.

    >>> is_drawn(b"document 40", 1 << 60), is_drawn(b"document 41", 1 << 60)
    (True, False)
    """
    return int.from_bytes(blake2b(document, digest_size=8).digest(), "big") < below
