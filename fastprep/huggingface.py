"""An encoding with the meaning of the tokenizers library of Hugging Face (0.23)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fastprep.added_tokens import AddedToken, AddedTokens
from fastprep.byte_level import MergeList
from fastprep.encoding import Encoding
from fastprep.errors import InvalidUtf8
from fastprep.nfc import nfc
from fastprep_ext.decode import Decoder
from fastprep_ext.encode import PATTERNS, Encoder


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
    family
        which splitter, a key of `PATTERNS`.
    pat_str
        the pattern as the file spells it.
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
        family: str,
        pat_str: str,
        added: Sequence[AddedToken] = (),
        normalize: bool = False,
        space_before: bool = False,
    ) -> None:
        table = merge_list.table
        self.name = name
        self.merge_list = merge_list
        self.family = family
        self.added = tuple(added)
        self.normalize = normalize
        self.space_before = space_before
        self._pat_str = pat_str
        self._special_tokens = {token.content: token.id for token in added if token.special}
        self._table = table
        self._encoder = Encoder(
            table.blob,
            table.ends,
            table.ids,
            PATTERNS[family],
            merge_list.merges.ravel(),
            merge_list.whole_pieces,
        )
        in_table = set(table.ids.tolist())
        apart = {token.content: token.id for token in added if token.id not in in_table}
        self._decoder = _decoder(merge_list, apart)
        self.max_token_value: int = max(self._encoder.largest, *(token.id for token in added), 0)
        self._added = AddedTokens(added, nfc if normalize else None)
        # Nothing but special tokens to look for: the text goes to the encoder as it is.
        self._is_plain = not normalize and not space_before and all(t.special for t in added)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.name, self._parts_to_keep())

    def _parts_to_keep(self) -> dict[str, Any]:
        return {
            "merge_list": self.merge_list,
            "family": self.family,
            "pat_str": self._pat_str,
            "added": self.added,
            "normalize": self.normalize,
            "space_before": self.space_before,
        }

    @property
    def rank_table_sha256(self) -> str:
        """sha256 of all that the ids depend on: tokens, merges, pattern, added tokens, settings."""
        kept = self._parts_to_keep()
        kept["merge_list"] = self._table.sha256
        return hashlib.sha256(repr(sorted(kept.items())).encode()).hexdigest()

    def encode_ordinary(self, text: str) -> list[int]:
        """Encode `text`, taking special tokens in it for ordinary text."""
        if self._is_plain:
            return super().encode_ordinary(text)
        return self._encode_sections(text, frozenset())

    def encode(
        self,
        text: str,
        *,
        allowed_special: Literal["all"] | AbstractSet[str] = frozenset(),
        disallowed_special: Literal["all"] | Collection[str] = "all",
    ) -> list[int]:
        """Encode `text`; special tokens in it are an error unless the caller says otherwise."""
        allowed = self._checked_allowed(text, allowed_special, disallowed_special)
        if self._is_plain and not allowed:
            return super().encode_ordinary(text)
        return self._encode_sections(text, allowed)

    def encode_to_numpy(
        self,
        text: str,
        *,
        allowed_special: Literal["all"] | AbstractSet[str] = frozenset(),
        disallowed_special: Literal["all"] | Collection[str] = "all",
    ) -> npt.NDArray[np.uint32]:
        """As :meth:`encode`, into a uint32 array ``[n]``."""
        allowed = self._checked_allowed(text, allowed_special, disallowed_special)
        return self._section_arrays(text, allowed)

    def encode_documents(
        self,
        texts: Sequence[str | bytes | memoryview],
        out: npt.NDArray[Any],
        ends: npt.NDArray[np.uint64],
        *,
        end_token: int | None = None,
        close_last: bool = True,
    ) -> int:
        """Encode documents back to back into the caller's arrays; see :class:`Encoding`.

        A normal form may be longer than the text: where its ids do not fit, that is a ValueError.
        """
        if self._is_plain:
            return super().encode_documents(
                texts, out, ends, end_token=end_token, close_last=close_last
            )
        if len(ends) < len(texts):
            raise ValueError(f"{len(texts)} texts need as many ends; there is room for {len(ends)}")
        largest = max(self.max_token_value, end_token or 0)
        if largest > np.iinfo(out.dtype).max:
            raise OverflowError(f"ids up to {largest} do not fit {out.dtype}; give a uint32 buffer")
        closing = [] if end_token is None else [end_token]
        at = 0
        for i, text in enumerate(texts):
            ids = self._section_arrays(_text(text, i), frozenset())
            if i + 1 == len(texts) and not close_last:
                closing = []
            if at + len(ids) + len(closing) > len(out):
                raise ValueError(
                    f"text {i} needs room for {at + len(ids) + len(closing)} ids in all; there is "
                    f"room for {len(out)}"
                )
            out[at : at + len(ids)] = ids
            at += len(ids)
            out[at : at + len(closing)] = closing
            at += len(closing)
            ends[i] = at
        return at

    def encode_single_token(self, text_or_bytes: str | bytes) -> int:
        """The id of one token, added ones included. Raises KeyError where it is none."""
        token = text_or_bytes if isinstance(text_or_bytes, bytes) else text_or_bytes.encode()
        for added in self.added:
            if added.content.encode() == token:
                return added.id
        return super().encode_single_token(text_or_bytes)

    # -- sections ---------------------------------------------------------------------------------

    def _sections(self, text: str, allowed: AbstractSet[str]) -> Iterator[tuple[str, int | None]]:
        for section, id in self._added.sections(text, allowed):
            if self.space_before and section and section[0] != " ":
                yield " " + section, id
            else:
                yield section, id

    def _encode_sections(self, text: str, allowed: AbstractSet[str]) -> list[int]:
        ids: list[int] = []
        for section, id in self._sections(text, allowed):
            ids += super().encode_ordinary(section)
            if id is not None:
                ids.append(id)
        return ids

    def _section_arrays(self, text: str, allowed: AbstractSet[str]) -> npt.NDArray[np.uint32]:
        arrays = []
        for section, id in self._sections(text, allowed):
            arrays.append(np.asarray(self._encoder.encode_to_buffer(section)))
            if id is not None:
                arrays.append(np.array([id], np.uint32))
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _restored(name: str, parts: dict[str, Any]) -> HuggingFaceEncoding:
    return HuggingFaceEncoding(name, **parts)


def _decoder(merge_list: MergeList, apart: dict[str, int]) -> Decoder:
    table = merge_list.table
    strings = [content.encode() for content in apart]
    lengths = np.array([len(string) for string in strings], np.uint64)
    return Decoder(
        table.blob + b"".join(strings),
        np.concatenate([table.ends, table.ends[-1] + np.cumsum(lengths, dtype=np.uint64)]),
        np.concatenate([table.ids, np.array(list(apart.values()), np.uint32)]),
    )


def _text(text: str | bytes | memoryview, index: int) -> str:
    if isinstance(text, str):
        return text
    try:
        return str(text, "utf-8")
    except UnicodeDecodeError as error:
        raise InvalidUtf8(
            f"text {index} is not UTF-8: no character begins at byte {error.start}; "
            "decode it with its real encoding first",
            index,
            error.start,
        ) from None
