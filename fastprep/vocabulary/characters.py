"""Vocabularies of characters: BPE whose symbols are characters, and bytes of unknown ones.

SentencePiece makes them: Llama 1 and 2, Mistral 7B, Phi-3, Gemma. A space is written U+2581; here
it is a space, in tokens and in text. The encoder merges bytes: before all other merges come those
that make each character out of its bytes, so that merging goes on with characters. What such a
merge leaves incomplete is a *fragment* of a character that is not a token.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastprep.errors import BadVocabulary
from fastprep.vocabulary.limits import MAX_ID, MAX_TOKEN_BYTES
from fastprep.vocabulary.merge_list import MAX_MERGES, MergeList, listed_table, refuse_merge
from fastprep.vocabulary.ranks import RankTable
from fastprep_ext.bpe import END_OF_MERGE, SPACE, TokenRows

#: How a space is written.
MARK = "\u2581"
# Bytes that UTF-8 never has, and characters that are replaced by them.
_END_BYTE, _END = 0xFF, "\ue0ff"
_SPACE_BYTE, _SPACE = 0xFE, "\ue0fe"


@dataclass(frozen=True)
class Fallback:
    """What becomes of characters that are not tokens.

    Attributes
    ----------
    bytes
        the ids that stand for the 256 bytes; None if there are none.
    unk
        the id that stands for an unknown character, if there are none; None: it is left out.
    fuse
        whether a run of unknown characters has one id.
    splits
        whether text is cut before each space first.
    """

    bytes: tuple[int, ...] | None
    unk: int | None
    fuse: bool
    splits: bool = False


def character_vocabulary(
    vocab: dict[str, int],
    merges: Iterable[Sequence[str | tuple[str, str]]],
    *,
    byte_fallback: bool,
    marks: bool,
    source: str,
) -> tuple[MergeList, dict[bytes, int], tuple[int, ...] | None]:
    """Return tokens and merges, the other tokens by their bytes, and the ids that stand for bytes.

    >>> vocab = {"a": 0, "b": 1, "ab": 2, "\u2581": 3, "\u2581ab": 4}
    >>> listed, _, _ = character_vocabulary(
    ...     vocab, [["a b", "\u2581 ab"]], byte_fallback=False, marks=True, source="an example"
    ... )
    >>> listed.merges.tolist(), listed.table.blob
    ([[0, 1, 2], [3, 2, 4]], b'abab  ab')
    """
    ids = list(vocab.values())
    if not vocab:
        raise BadVocabulary(f"{source}: the vocabulary has no tokens")
    if min(ids) < 0 or max(ids) >= MAX_ID or len(set(ids)) < len(ids):
        raise BadVocabulary(
            f"{source}: the ids go from {min(ids)} to {max(ids)}, {len(ids) - len(set(ids))} of them "
            f"twice; each token has its own, between 0 and {MAX_ID - 1}"
        )
    found = [vocab.get(f"<0x{byte:02X}>") for byte in range(256)] if byte_fallback else []
    bytes_ids = tuple(id for id in found if id is not None)
    if len(bytes_ids) not in (0, 256):
        raise BadVocabulary(
            f"{source}: {len(bytes_ids)} of the 256 tokens <0x00> to <0xFF> are in the vocabulary; "
            "byte_fallback needs all of them"
        )
    others: dict[bytes, int] = {}
    tokens: list[bytes] = []
    rows: list[int] = []
    of_bytes = {id: bytes([byte]) for byte, id in enumerate(bytes_ids)}
    for key, id in sorted(vocab.items(), key=lambda item: item[1]):
        data = key.replace(MARK, " ").encode() if marks else key.encode()
        if id in of_bytes:
            others[of_bytes[id]] = id
        elif not data or (marks and " " in key):
            others[key.encode()] = id
        else:
            tokens.append(data)
            rows.append(id)
    if max(map(len, tokens), default=0) > MAX_TOKEN_BYTES:
        raise BadVocabulary(f"{source}: a token has more than {MAX_TOKEN_BYTES} bytes")
    blob = b"".join(tokens)
    ends = np.cumsum(np.fromiter(map(len, tokens), np.uint64, len(tokens)), dtype=np.uint64)
    table_rows = TokenRows(blob, ends)
    listed = _rows_of(merges, table_rows, marks, source)
    numbers = np.array(rows, np.uint32)
    made = listed_table(blob, ends, numbers, listed, False, b"characters")
    return made, others, bytes_ids or None


def _rows_of(
    merges: Iterable[Sequence[str | tuple[str, str]]], rows: TokenRows, marks: bool, source: str
) -> npt.NDArray[np.uint32]:
    found = [np.empty((0, 3), np.uint32)]
    count = 0
    for part in merges:
        count += len(part)
        if count > MAX_MERGES:
            raise BadVocabulary(f"{source}: {count} or more merges; the limit is {MAX_MERGES}")
        text = _END.join(
            [m.replace(" ", _SPACE) if type(m) is str else _SPACE.join(m) for m in part]
        )
        if marks:
            text = text.replace(MARK, " ")
        data = text.encode().replace(_END.encode(), b"\xff").replace(_SPACE.encode(), b"\xfe")
        codes = np.frombuffer(data, np.uint8).astype(np.uint16)
        codes[codes == _END_BYTE] = END_OF_MERGE
        codes[codes == _SPACE_BYTE] = SPACE
        part_rows = np.empty((len(part), 3), np.uint32)
        wrong, at = rows.of_merges(codes, part_rows.ravel())
        if wrong or at < len(part) or data.count(b"\xff") >= max(1, len(part)):
            refuse_merge(count - len(part) + at, part[min(at, len(part) - 1)], wrong, source)
        found.append(part_rows)
    return np.concatenate(found)


@dataclass(frozen=True, eq=False)
class Assembled:
    """A vocabulary of characters as the encoder reads it, with fragments after its tokens.

    Attributes
    ----------
    table, merges
        as in :class:`MergeList`, with the merges of bytes to characters first.
    first_fragment
        the row of the first fragment.
    """

    table: RankTable
    merges: npt.NDArray[np.uint32]
    first_fragment: int


def assembled(listed: MergeList) -> Assembled:
    """Return a vocabulary of characters with the fragments of characters, and merges that make them.

    >>> letters = "aé".encode()
    >>> table = RankTable(letters, np.array([1, 3], np.uint64), np.array([5, 6], np.uint32), "")
    >>> made = assembled(MergeList(table, np.empty((0, 3), np.uint32), False))
    >>> made.first_fragment, len(made.table.ids), made.merges.tolist()
    (2, 257, [[196, 170, 1]])
    """
    table = listed.table
    blob, ends = table.blob, table.ends.tolist()
    rows: dict[bytes, int] = {}
    characters = []
    for row, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        if end - start <= 4:
            token = blob[start:end]
            rows[token] = row
            if (
                end - start
                == (1, 2, 3, 4)[(token[0] >= 0xC0) + (token[0] >= 0xE0) + (token[0] >= 0xF0)]
            ):
                characters.append(token)
    first = len(ends)
    fragments: list[bytes] = []

    def row_of(part: bytes) -> int:
        if part not in rows:
            rows[part] = first + len(fragments)
            fragments.append(part)
        return rows[part]

    for byte in range(256):
        row_of(bytes([byte]))
    made: dict[int, tuple[int, int, int]] = {}
    for token in characters:
        for size in range(2, len(token) + 1):
            left, right = row_of(token[: size - 1]), row_of(token[size - 1 : size])
            whole = row_of(token[:size])
            made[whole] = left, right, whole
    sizes = np.fromiter(map(len, fragments), np.uint64, len(fragments))
    last = np.uint64(len(blob))
    both = RankTable(
        blob + b"".join(fragments),
        np.concatenate([table.ends, last + np.cumsum(sizes, dtype=np.uint64)]),
        np.concatenate(
            [table.ids, table.largest + 1 + np.arange(len(fragments), dtype=np.uint32)]
        ).astype(np.uint32),
        "",
    )
    merges = np.array(list(made.values()), np.uint32).reshape(-1, 3)
    return Assembled(both, np.concatenate([merges, listed.merges]), first)
