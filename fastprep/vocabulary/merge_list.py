"""Vocabularies that list their merges: the byte alphabet they are written in, and their rank table.

GPT-2's files, and all of Hugging Face that came after them, write a token's bytes as visible
characters: a byte that is a visible character of Latin-1 stands for itself, the other 68 are U+0100
and on, so a space is U+0120. Beside the tokens they list merges, two tokens each, first one first.

A list of merges is not tiktoken's table of ranks: two tokens merge only if the list says so, and in
the list's order, whatever the ids are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from fastprep.errors import BadVocabulary
from fastprep.vocabulary.byte_alphabet import ALPHABET, codes_of, to_bytes, to_characters
from fastprep.vocabulary.ranks import RankTable
from fastprep.vocabulary.token_list import (
    MAX_ID,
    MAX_TOKEN_BYTES,
    TokenList,
    check_others,
    gathered,
    token_list,
)
from fastprep_ext.bpe import TokenRows

__all__ = [
    "ALPHABET",
    "MAX_ID",
    "MAX_MERGES",
    "MAX_TOKEN_BYTES",
    "MergeList",
    "listed_table",
    "merge_list",
    "to_bytes",
    "to_characters",
    "token_list",
]

MAX_MERGES = 1 << 20


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
    tokens: TokenList,
    merges: Iterable[Sequence[str | tuple[str, str]]],
    *,
    whole_pieces: bool,
    apart: Collection[str],
    source: str,
) -> MergeList:
    """Check a vocabulary as files write it, and make it ready for the encoder.

    Parameters
    ----------
    tokens
        all tokens.
    merges
        pairs of tokens, or two tokens with a space between them, first one first; some at a time.
    whole_pieces
        as in :class:`MergeList`.
    apart
        tokens that are looked for in the text itself, before it is split. Where one stands among
        `tokens`, too, but nothing can make it there, it is left out of the table.
    source
        what an error calls the file.

    >>> letters = {letter: id for id, letter in enumerate(ALPHABET)}
    >>> made = merge_list(token_list([letters | {"ab": 256}], "an example"), [["a b"]],
    ...                   whole_pieces=False, apart=(), source="an example")
    >>> made.merges.tolist()
    [[97, 98, 256]]

    Raises :class:`~fastprep.errors.BadVocabulary` naming the token or merge that is wrong.
    """
    check_others(tokens, apart, source)
    listed = _rows_of(merges, tokens.rows, source)
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
    return listed_table(blob, ends, tokens.ids[kept], renumbered[listed], whole_pieces)


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


def _rows_of(
    merges: Iterable[Sequence[str | tuple[str, str]]], rows: TokenRows, source: str
) -> npt.NDArray[np.uint32]:
    found = [np.empty((0, 3), np.uint32)]
    count = 0
    for part in merges:
        count += len(part)
        if count > MAX_MERGES:
            raise BadVocabulary(f"{source}: {count} or more merges; the limit is {MAX_MERGES}")
        text = "\n".join([merge if type(merge) is str else " ".join(merge) for merge in part])
        made = np.empty((len(part), 3), np.uint32)
        wrong, at = rows.of_merges(codes_of(text), made.ravel())
        if wrong or at < len(part) or text.count("\n") >= max(1, len(part)):
            _refuse_merge(count - len(part) + at, part[min(at, len(part) - 1)], wrong, source)
        found.append(made)
    return np.concatenate(found)


def _refuse_merge(at: int, merge: str | tuple[str, str], wrong: int, source: str) -> NoReturn:
    if wrong < 2:
        raise BadVocabulary(
            f"{source}: merge {at} is {merge!r:.80}; there must be two tokens with one space "
            "between them"
        )
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    missing = (left, right, left + right)[wrong - 2]
    raise BadVocabulary(
        f"{source}: merge {at}, of {left!r:.80} and {right!r:.80}: {missing!r:.80} is not in the "
        "vocabulary; merges and vocabulary belong to different files, or one is damaged"
    )
