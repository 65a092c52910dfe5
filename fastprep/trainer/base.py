"""The vocabulary that training starts from: the 256 bytes, or the tokens and merges of an encoding."""

from __future__ import annotations

from array import array
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, NamedTuple

from fastprep.encoding.batches import encode_rows
from fastprep.errors import InvalidArgument, InvalidUtf8
from fastprep_ext.base import Rows
from fastprep_ext.bpe import Encoder, missing_bytes
from fastprep_ext.trainer import record_places

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastprep.encoding.encoding import Encoding
    from fastprep.store.encodings import EncodingLike
    from fastprep.trainer.counts import PieceCounts
    from fastprep.vocabulary.recipe import Recipe
    from fastprep_ext.trainer import MergeTrainer

# Pieces that are encoded at once.
_AT_ONCE = 1 << 16
_BYTES_AT_ONCE = 1 << 24


class Base(NamedTuple):
    """An encoding that training continues from.

    ``tokens`` are in the order of their ids, ``merges`` the rows of the two tokens of each merge, flat,
    ``made`` the rows of the tokens that they make.
    """

    encoding: Encoding
    tokens: list[bytes]
    merges: array[int]
    made: array[int]
    ids: list[int]

    @property
    def recipe(self) -> Recipe:
        """The recipe of the encoding."""
        return self.encoding.recipe


def base_of(encoding: EncodingLike) -> Base:
    """Return an encoding, or one by its name or the path of its file, as a base.

    Raises InvalidArgument for an encoding whose tokens are not merges of bytes: of words, characters or
    with normalizers, and BadVocabulary and UnknownEncoding as :func:`fastprep.prepare`.
    """
    import numpy as np

    from fastprep.encoding.encoding import Encoding
    from fastprep.store.encodings import as_encoding

    found: Any = encoding if isinstance(encoding, Encoding) else as_encoding(encoding)
    if not isinstance(found, Encoding):
        raise InvalidArgument(f"base is {found!r}; training continues from encodings of byte pairs")
    recipe = found.recipe
    table = recipe.table
    if not recipe.is_plain or recipe.fallback is not None or recipe.empty is not None:
        raise InvalidArgument(
            f"base is {found!r}, which changes text before it is split, or has tokens of characters; "
            "training continues from byte-level encodings"
        )
    if missing := missing_bytes(table.blob, table.ends_buffer):
        raise InvalidArgument(
            f"base is {found!r}, which has no tokens for {len(missing)} of the bytes, as "
            f"{missing[:1]!r}; training continues from encodings of all 256 bytes"
        )
    ends = table.ends_buffer.tolist()
    tokens = [table.blob[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    rows = _merges_of(recipe, len(tokens))
    made = set(rows[:, 2].tolist())
    for row, token in enumerate(tokens):
        if len(token) > 1 and row not in made:
            raise InvalidArgument(
                f"base is {found!r}, in which no merge makes the token {token!r:.80}; training "
                "continues from encodings whose tokens are all made by merges"
            )
    merges = array("I", np.ascontiguousarray(rows[:, :2], np.uint32).tobytes())
    return Base(found, tokens, merges, array("I", rows[:, 2].tolist()), table.ids_buffer.tolist())


def _merges_of(recipe: Recipe, tokens: int) -> Any:
    """Return rows of two tokens and the one that they make, in the order of merging."""
    import numpy as np

    if recipe.merge_list is not None:
        return recipe.merge_list.merges
    rows = np.empty((tokens, 3), np.uint32)
    return rows[: _encoder_of_rows(recipe).last_merges(rows.ravel())]


def _encoder_of_rows(recipe: Recipe) -> Encoder:
    """Return an encoder of pieces as wholes, whose ids are the rows of the table."""
    from fastprep.vocabulary.regex_program import compile_tiktoken

    table, listed = recipe.table, recipe.merge_list
    options: dict[str, Any] = {"lefts": table.lefts}
    if listed is not None:
        options = {"merges": listed.merges.ravel(), "whole_pieces": listed.whole_pieces}
    rows = array("I", range(len(table.ids_buffer)))
    return Encoder(table.blob, table.ends_buffer, rows, compile_tiktoken(r"[\s\S]+"), **options)


def load_words(trainer: MergeTrainer, counts: PieceCounts, base: Base) -> None:
    """Give the pieces of counts to a trainer, in tokens of the base."""
    tokens, ends, weights = array("I"), array("Q"), array("Q")
    for part_tokens, part_ends, part_counts in _encoded(
        counts._records, _encoder_of_rows(base.recipe)
    ):
        first = len(tokens)
        tokens.frombytes(memoryview(part_tokens).cast("B"))
        ends.extend(end + first for end in part_ends)
        weights.extend(part_counts)
    trainer.load_words(tokens, ends, weights)


def _encoded(records: memoryview, encoder: Encoder) -> Iterator[tuple[Any, Any, Any]]:
    """Yield the tokens of pieces, back to back, with their ends and the counts of the pieces."""
    at = 0
    while at < len(records):
        starts, stops, counts, at = record_places(records, at, _AT_ONCE, _BYTES_AT_ONCE)
        tokens: Any
        try:
            tokens, places = encode_rows(encoder, Rows(records, starts, stops), 1)
            ends = array("Q", places[1:].tolist())
        except InvalidUtf8:
            # Pieces of a mapping may be any bytes.
            listed = [
                encoder.encode_piece(records[a:b]) for a, b in zip(starts, stops, strict=True)
            ]
            tokens = array("I", chain.from_iterable(listed))
            ends = array("Q", accumulate(map(len, listed)))
        yield tokens, ends, counts
