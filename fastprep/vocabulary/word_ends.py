"""Vocabularies whose tokens say where a word ends, as CLIP's: `</w>` is part of a word's last token.

Here a space stands for it, both in the tokens and after each piece of a text; pieces have no whitespace.
Before all other merges come those of a byte and the space, so that a word's last byte gets it first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from fastprep.errors import BadVocabulary
from fastprep.vocabulary.byte_alphabet import ALPHABET
from fastprep.vocabulary.merge_list import MergeList, listed_table
from fastprep_ext.bpe import TokenRows

_SPACE = ALPHABET[0x20]


def with_ends(
    tokens: Iterable[dict[str, int]],
    merges: Iterable[Sequence[str | tuple[str, str]]],
    suffix: str,
) -> tuple[Iterator[dict[str, int]], Iterator[list[str | tuple[str, str]]]]:
    """Return tokens and merges with a space in place of the suffix.

    >>> tokens, merges = with_ends([{"a</w>": 0, "a": 1}], [["a a</w>"]], "</w>")
    >>> list(tokens), list(merges)
    ([{'aĠ': 0, 'a': 1}], [['a aĠ']])
    """

    def spelled(key: str) -> str:
        return key.removesuffix(suffix) + _SPACE if key.endswith(suffix) else key

    def merged(merge: str | tuple[str, str]) -> str:
        return spelled(merge if isinstance(merge, str) else " ".join(merge))

    return (
        ({spelled(key): id for key, id in part.items()} for part in tokens),
        ([merged(merge) for merge in part] for part in merges),
    )


def merges_of_ends(rows: TokenRows, suffix: str, source: str) -> npt.NDArray[np.uint32]:
    """Return for each byte the rows of its token, of the end of a word, and of both together.

    Raises BadVocabulary if a byte is not a token, alone or at the end of a word.
    """
    merges = np.empty((256, 3), np.uint32)
    space = rows.find(b" ")
    for byte in range(256):
        alone, last = rows.find(bytes([byte])), rows.find(bytes([byte, 0x20]))
        if alone < 0 or last < 0:
            found = ALPHABET[byte] + suffix * (alone >= 0)
            raise BadVocabulary(
                f"{source}: {found!r} is not a token; with an end_of_word_suffix all 256 bytes are, "
                "with and without it"
            )
        merges[byte] = alone, max(space, 0), last
    return merges


def ending(listed: MergeList, suffix: str, source: str) -> MergeList:
    """Return a vocabulary with the merges of each byte and the end of a word before the others."""
    table = listed.table
    first = merges_of_ends(TokenRows(table.blob, table.ends), suffix, source)
    merges = np.concatenate([first, listed.merges])
    return listed_table(table.blob, table.ends, table.ids, merges, whole_pieces=False)
