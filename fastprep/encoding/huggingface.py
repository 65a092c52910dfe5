"""An encoding with the meaning of the tokenizers library of Hugging Face (0.23)."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastprep.encoding.added_tokens import AddedToken, AddedTokens
from fastprep.encoding.decoding import make_decoder
from fastprep.encoding.encoding import Encoding
from fastprep.encoding.python_encoder import GeneralEncoder
from fastprep.encoding.sections import SectionEncoder
from fastprep.encoding.special import SpecialTokens
from fastprep.vocabulary.merge_list import MergeList
from fastprep.vocabulary.nfc import nfc
from fastprep.vocabulary.patterns import family_of
from fastprep.vocabulary.regex_patterns import isolated_splitter
from fastprep_ext.bpe import PATTERNS, Encoder, Specials

if TYPE_CHECKING:
    from fastprep.encoding.encoders import AnyEncoder


class HuggingFaceEncoding(Encoding):
    """What a ``tokenizer.json`` or a pair of ``vocab.json`` and ``merges.txt`` describes.

    :meth:`Encoding.from_file` makes one. ``encode(text, allowed_special="all")`` gives the ids of
    ``Tokenizer.encode(text, add_special_tokens=False)``, and :meth:`encode_ordinary` those with
    ``encode_special_tokens`` set. Added tokens that are not special are looked for in both. A token
    for the beginning of a text is never added, nor is anything padded or cut short.

    Parameters
    ----------
    name
        what it is called.
    merge_list
        tokens and merges.
    patterns
        the patterns as the file spells them, each for the pieces that the one before left. Those
        that :mod:`fastprep.vocabulary.patterns` does not know are run by
        :mod:`fastprep.vocabulary.regex_patterns`.
    added
        the added tokens, special and not.
    normalize
        whether text is put into Unicode's normal form C.
    space_before
        whether a space is put before a text that begins with none.
    """

    def __init__(
        self,
        name: str,
        *,
        merge_list: MergeList,
        patterns: Sequence[str],
        added: Sequence[AddedToken] = (),
        normalize: bool = False,
        space_before: bool = False,
    ) -> None:
        self.name = name
        self.merge_list = merge_list
        self.patterns = tuple(patterns)
        self.family = family_of(self.patterns)
        self.added = tuple(added)
        self.normalize = normalize
        self.space_before = space_before
        self._pat_str = " and then ".join(self.patterns)
        self._special_tokens = {token.content: token.id for token in added if token.special}
        self._table = table = merge_list.table
        compiled = Encoder(
            table.blob,
            table.ends,
            table.ids,
            PATTERNS[self.family or "r50k"],
            merge_list.merges.ravel(),
            merge_list.whole_pieces,
        )
        encoder: AnyEncoder = compiled
        if self.family is None:
            encoder = GeneralEncoder(compiled, isolated_splitter(patterns), {})
        self._encoder = encoder
        if not self.is_plain:
            found = AddedTokens(added, nfc if normalize else None)
            self._encoder = SectionEncoder(encoder, found, space_before)
        ids = {token.content: token.id for token in added}
        self._decoder = make_decoder(table, ids, self._specials, None)
        self.max_token_value: int = max(int(table.ids[-1]), *ids.values(), 0)

    @property
    def is_plain(self) -> bool:
        """Whether the text goes to the splitter as it is, but for special tokens that cut it."""
        return (
            not self.normalize
            and not self.space_before
            and all(t.special and not t.lstrip and not t.rstrip for t in self.added)
            and len({token.normalized for token in self.added}) < 2
        )

    def most_ids(self, size: int, texts: int) -> int:
        """The most ids that texts of `size` bytes of UTF-8 can have.

        More than bytes where the text grows: normal form C may triple it (Unicode Standard Annex
        15), and a space is put before each part that stands between added tokens.
        """
        if self.normalize:
            size *= 3
        return 2 * size + texts if self.space_before else size

    def encode_single_token(self, text_or_bytes: str | bytes) -> int:
        """The id of one token, added ones included. Raises KeyError where it is none."""
        token = text_or_bytes.encode() if isinstance(text_or_bytes, str) else text_or_bytes
        for added in self.added:
            if added.content.encode() == token:
                return added.id
        return super().encode_single_token(text_or_bytes)

    @functools.cached_property
    def rank_table_sha256(self) -> str:
        """sha256 of all that the ids depend on: tokens, merges, pattern, added tokens, settings."""
        kept = {**self.__getstate__(), "merge_list": self._table.sha256, "name": ""}
        return hashlib.sha256(repr(sorted(kept.items())).encode()).hexdigest()

    @functools.cached_property
    def _specials(self) -> SpecialTokens:
        return _LongestFirst(self._special_tokens)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "merge_list": self.merge_list,
            "patterns": self.patterns,
            "added": self.added,
            "normalize": self.normalize,
            "space_before": self.space_before,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        HuggingFaceEncoding.__init__(self, **state)


class _LongestFirst(SpecialTokens):
    """Of tokens that begin at the same place the longest is taken."""

    def order(self) -> list[str]:
        return sorted(self._ids, key=len, reverse=True)

    def _cutter(self, cuts: Mapping[str, bytes]) -> Specials:
        return Specials(
            [(cuts[token], self._ids[token]) for token in self.order() if token in cuts]
        )
