"""Merge lists: vocabularies that list the pairs of tokens that merge, in the order of merging.

GPT-2's files have such lists, and those of Hugging Face that came after them. A merge list is not
tiktoken's rank table: two tokens merge only if the list says so, and in the order of the list,
whatever their ids are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from fastprep.errors import BadVocabulary
from fastprep.vocabulary.byte_alphabet import codes_of, is_spelled, json_reader
from fastprep.vocabulary.json_values import MAX_AT_ONCE, Json
from fastprep.vocabulary.ranks import RankTable
from fastprep.vocabulary.token_list import TokenList, gathered
from fastprep_ext.bpe import NO_BYTE

MAX_MERGES = 1 << 20


@dataclass(frozen=True, eq=False)
class MergeList:
    """Vocabulary that lists its merges.

    Attributes
    ----------
    table
        the tokens, in the order of their ids. Its sha256 covers the merges and settings, too.
    merges
        uint32 ``[m, 3]``, in the order of merging: the rows in `table` of two tokens, and of the
        token that they merge into.
    whole_pieces
        whether a piece that is a token becomes that token, even if merging would not produce it.
    """

    table: RankTable
    merges: npt.NDArray[np.uint32]
    whole_pieces: bool


def merge_list(
    tokens: TokenList,
    merges: Iterable[Sequence[str | tuple[str, str]]],
    *,
    whole_pieces: bool,
    apart: Collection[str],
    source: str,
    rows: npt.NDArray[np.uint32] | None = None,
) -> MergeList:
    """Check a vocabulary as files write it, and return it as a :class:`MergeList`.

    Parameters
    ----------
    tokens
        all tokens.
    merges
        pairs of tokens, or two tokens with a space between them, in the order of merging; in parts.
    whole_pieces
        as in :class:`MergeList`.
    apart
        tokens that are searched for in the text before it is split. If one is in `tokens`, too, but
        no merge produces it, it is left out of the table.
    source
        the file's name in errors.
    rows
        what :func:`rows_of_json` returns; if it is given, `merges` is not read.

    >>> from fastprep.vocabulary.byte_alphabet import ALPHABET
    >>> from fastprep.vocabulary.token_list import token_list
    >>> letters = {letter: id for id, letter in enumerate(ALPHABET)}
    >>> listed = merge_list(token_list([letters | {"ab": 256}], "an example"), [["a b"]],
    ...                     whole_pieces=False, apart=(), source="an example")
    >>> listed.merges.tolist()
    [[97, 98, 256]]

    Raises BadVocabulary naming the token or merge that is wrong.
    """
    listed = _rows_of(merges, tokens, source) if rows is None else rows
    kept = np.ones(len(tokens.ids), bool)
    for key in apart:
        row = -1 if whole_pieces else tokens.row_of(key)
        if row >= 0:
            kept[row] = False
    kept[listed.ravel()] = True
    if kept.all():
        return listed_table(tokens.blob, tokens.ends, tokens.ids, listed, whole_pieces)
    renumbered = np.cumsum(kept, dtype=np.uint32) - np.uint32(1)
    blob, ends = gathered(tokens.blob, tokens.ends, np.flatnonzero(kept))
    return listed_table(
        blob, ends, tokens.ids.compress(kept), renumbered.take(listed), whole_pieces
    )


def listed_table(
    blob: bytes,
    ends: npt.NDArray[np.uint64],
    ids: npt.NDArray[np.uint32],
    merges: npt.NDArray[np.uint32],
    whole_pieces: bool,
    kind: bytes = b"merges",
) -> MergeList:
    """Return a merge list from the fields of :class:`MergeList` and its table, unchecked.

    `kind` tells apart tables of equal tokens that mean other texts.
    """
    digest = hashlib.sha256(b"whole pieces" if whole_pieces else kind)
    for part in (len(ids).to_bytes(8, "little"), blob, ends, ids, merges):
        digest.update(part)
    return MergeList(RankTable(blob, ends, ids, digest.hexdigest()), merges, whole_pieces)


def rows_of_json(data: Json, tokens: TokenList) -> npt.NDArray[np.uint32] | None:
    """Return the rows of the merges in a JSON array; None if it has to be read part by part."""
    text = memoryview(data)
    if len(text) > MAX_AT_ONCE:
        return None
    codes = np.empty(len(text), np.uint16)
    count, written = json_reader().merges(text, codes)
    if not 0 < count <= MAX_MERGES:
        return None
    rows = np.empty((count, 3), np.uint32)
    wrong, found = tokens.rows.of_merges(codes[:written], rows.ravel())
    return rows if not wrong and found == count else None


def _rows_of(
    merges: Iterable[Sequence[str | tuple[str, str]]], tokens: TokenList, source: str
) -> npt.NDArray[np.uint32]:
    found = [np.empty((0, 3), np.uint32)]
    count = 0
    for part in merges:
        count += len(part)
        if count > MAX_MERGES:
            raise BadVocabulary(f"{source}: {count} or more merges; the limit is {MAX_MERGES}")
        text = "\n".join([merge if type(merge) is str else " ".join(merge) for merge in part])
        codes = codes_of(text)
        if tokens.others and NO_BYTE in codes:
            part = [merge for merge in part if not _is_unreachable(merge, tokens.others)]
            text = "\n".join([merge if type(merge) is str else " ".join(merge) for merge in part])
            codes = codes_of(text)
        part_rows = np.empty((len(part), 3), np.uint32)
        wrong, at = tokens.rows.of_merges(codes, part_rows.ravel())
        if wrong or at < len(part) or text.count("\n") >= max(1, len(part)):
            refuse_merge(count - len(part) + at, part[min(at, len(part) - 1)], wrong, source)
        found.append(part_rows)
    return np.concatenate(found)


def _is_unreachable(merge: str | tuple[str, str], others: Mapping[str, int]) -> bool:
    """Return whether a merge makes a token that byte-level text never reaches."""
    left, _, right = merge.partition(" ") if isinstance(merge, str) else (merge[0], "", merge[-1])
    return left + right in others and not (is_spelled(left) and is_spelled(right))


def refuse_merge(at: int, merge: str | tuple[str, str], wrong: int, source: str) -> NoReturn:
    """Raise BadVocabulary for a merge, by the error of ``TokenRows.of_merges``."""
    if wrong < 2:
        raise BadVocabulary(
            f"{source}: merge {at} is {merge!r:.80}; it must be two tokens with one space "
            "between them"
        )
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    missing = (left, right, left + right)[wrong - 2]
    raise BadVocabulary(
        f"{source}: merge {at}, of {left!r:.80} and {right!r:.80}: {missing!r:.80} is not in the "
        "vocabulary; merges and vocabulary belong to different files, or one is damaged"
    )
