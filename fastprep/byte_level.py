"""Vocabularies that list their merges: the byte alphabet they are written in, and their rank table.

GPT-2's files, and all of Hugging Face that came after them, write a token's bytes as visible
characters: a byte that is a visible character of Latin-1 stands for itself, the other 68 are U+0100
and on, so a space is U+0120. Beside the tokens they list merges, two tokens each, first one first.

A list of merges is not tiktoken's table of ranks: two tokens merge only if the list says so, and in
the list's order, whatever the ids are.
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastprep.errors import BadVocabulary
from fastprep.vocabulary import RankTable

MAX_ID = 1 << 20
MAX_TOKEN_BYTES = 1 << 16
MAX_MERGES = 1 << 20

_VISIBLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]


def _alphabet() -> str:
    hidden = iter(range(0x100, 0x200))
    return "".join(chr(byte if byte in _VISIBLE else next(hidden)) for byte in range(256))


#: The character that stands for each byte.
ALPHABET = _alphabet()
_ENCODING_MAP: Any = codecs.charmap_build(ALPHABET)


def to_characters(data: bytes) -> str:
    """Bytes as a vocabulary file writes them.

    >>> to_characters(b" hello")
    'Ġhello'
    """
    return codecs.charmap_decode(data, "strict", ALPHABET)[0]


def to_bytes(characters: str) -> bytes:
    """The bytes that characters of a vocabulary file stand for, one each.

    >>> to_bytes("Ġhello")
    b' hello'

    Raises UnicodeEncodeError at a character that stands for no byte.
    """
    return codecs.charmap_encode(characters, "strict", _ENCODING_MAP)[0]


@dataclass(frozen=True, eq=False)
class MergeList:
    """A vocabulary that lists its merges.

    Attributes
    ----------
    table
        the tokens, in the order of their ids. Its sha256 is that of all that stands here.
    merges
        uint32 ``[m, 3]``, in the order of merging: the rows in `table` of two tokens, and of the
        one that they make.
    whole_pieces
        whether a piece that is a token is that token, even if merging would not make it.
    """

    table: RankTable
    merges: npt.NDArray[np.uint32]
    whole_pieces: bool


def merge_list(
    vocab: dict[str, int],
    merges: Sequence[str | Sequence[str]],
    *,
    whole_pieces: bool,
    apart: Collection[str],
    source: str,
) -> MergeList:
    """Check a vocabulary as files write it, and make it ready for the encoder.

    Parameters
    ----------
    vocab
        from token, in the alphabet of bytes, to id.
    merges
        pairs of tokens, or two tokens with a space between them; first one first.
    whole_pieces
        as in :class:`MergeList`.
    apart
        tokens that are looked for in the text itself, before it is split. Where one stands in
        `vocab`, too, but nothing can make it there, it is left out of the table.
    source
        what an error calls the file.

    >>> letters = {letter: id for id, letter in enumerate(ALPHABET)}
    >>> made = merge_list(letters | {"ab": 256}, ["a b"],
    ...                   whole_pieces=False, apart=(), source="an example")
    >>> made.merges.tolist()
    [[97, 98, 256]]

    Raises :class:`~fastprep.errors.BadVocabulary` naming the token or merge that is wrong.
    """
    keys = sorted(vocab, key=vocab.__getitem__)
    numbers = [vocab[key] for key in keys]
    if keys and not 0 <= numbers[0] <= numbers[-1] < MAX_ID:
        raise BadVocabulary(
            f"{source}: the ids go from {numbers[0]} to {numbers[-1]}; they must lie between 0 and "
            f"{MAX_ID - 1}"
        )
    ids = np.array(numbers, np.uint32)
    rows = {key: row for row, key in enumerate(keys)}
    _check_tokens(keys, rows, ids, source)
    if len(merges) > MAX_MERGES:
        raise BadVocabulary(f"{source}: {len(merges)} merges; the limit is {MAX_MERGES}")
    listed = _rows_of(merges, rows, source)
    kept = np.ones(len(keys), bool)
    for key in apart:
        if key in rows and (not whole_pieces or not _stands_for_bytes(key)):
            kept[rows[key]] = False
    kept[listed.ravel()] = True
    renumbered = np.cumsum(kept, dtype=np.uint32) - np.uint32(1)
    keys = [key for key, keep in zip(keys, kept.tolist(), strict=True) if keep]
    blob = _blob(keys, source)
    ends = np.cumsum(np.fromiter(map(len, keys), np.uint64, len(keys)), dtype=np.uint64)
    return listed_table(blob, ends, ids[kept], renumbered[listed], whole_pieces)


def listed_table(
    blob: bytes,
    ends: npt.NDArray[np.uint64],
    ids: npt.NDArray[np.uint32],
    merges: npt.NDArray[np.uint32],
    whole_pieces: bool,
) -> MergeList:
    """A merge list of its parts, as :class:`MergeList` and its table have them, unchecked."""
    digest = hashlib.sha256(b"whole pieces" if whole_pieces else b"merges")
    for part in (len(ids).to_bytes(8, "little"), blob, ends, ids, merges):
        digest.update(part)
    return MergeList(RankTable(blob, ends, ids, digest.hexdigest()), merges, whole_pieces)


def _check_tokens(
    keys: list[str], rows: dict[str, int], ids: npt.NDArray[np.uint32], source: str
) -> None:
    if not keys:
        raise BadVocabulary(f"{source}: the vocabulary has no tokens")
    missing = next((byte for byte in range(256) if ALPHABET[byte] not in rows), None)
    if missing is not None:
        raise BadVocabulary(
            f"{source}: byte 0x{missing:02X}, written {ALPHABET[missing]!r}, is no token, so text "
            "that holds it has no ids; a byte-level vocabulary has all 256 single bytes"
        )
    if "" in rows:
        raise BadVocabulary(f"{source}: the token {rows['']} is empty; leave it out")
    twice = np.flatnonzero(ids[1:] == ids[:-1])
    if len(twice):
        at = int(twice[0])
        raise BadVocabulary(
            f"{source}: the tokens {keys[at]!r:.80} and {keys[at + 1]!r:.80} both have the id "
            f"{ids[at]}; give each token an id of its own"
        )
    longest = max(keys, key=len)
    if len(longest) > MAX_TOKEN_BYTES:
        raise BadVocabulary(
            f"{source}: the token {longest[:20]!r}... has {len(longest)} bytes; the limit is "
            f"{MAX_TOKEN_BYTES}"
        )


def _rows_of(
    merges: Sequence[str | Sequence[str]], rows: dict[str, int], source: str
) -> npt.NDArray[np.uint32]:
    # A pair a merge would be kept otherwise: 200,000 of them took half of the time to load.
    flat: list[int] = []
    for at, merge in enumerate(merges):
        left, space, right = (
            merge.partition(" ") if type(merge) is str else (merge[0], " ", merge[1])
        )
        if not space or " " in right:
            raise BadVocabulary(
                f"{source}: merge {at} is {merge!r:.80}; there must be two tokens with one space "
                "between them"
            )
        try:
            flat += rows[left], rows[right], rows[left + right]
        except KeyError as error:
            raise BadVocabulary(
                f"{source}: merge {at}, of {left!r:.80} and {right!r:.80}: {error.args[0]!r:.80} "
                "is not in the vocabulary; merges and vocabulary belong to different files, or one "
                "is damaged"
            ) from None
    return np.array(flat, np.uint32).reshape(-1, 3)


def _stands_for_bytes(key: str) -> bool:
    try:
        to_bytes(key)
    except UnicodeEncodeError:
        return False
    return True


def _blob(keys: list[str], source: str) -> bytes:
    try:
        return to_bytes("".join(keys))
    except UnicodeEncodeError:
        key = next(key for key in keys if not _stands_for_bytes(key))
        raise BadVocabulary(
            f"{source}: the token {key!r:.80} holds a character that stands for no byte, so this "
            "is no byte-level vocabulary; fastprep reads byte-level BPE only"
        ) from None
