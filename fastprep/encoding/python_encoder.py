"""An encoder in Python, for ranks that lack bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastprep.errors import InvalidUtf8, MissingByte
from fastprep_ext.bpe import NO_LIMIT, Encoder, Specials


class GeneralEncoder:
    """Encoder with the interface of :class:`fastprep_ext.bpe.Encoder`, slower: piece by piece.

    Parameters
    ----------
    encoder
        merges the pieces.
    split
        splits a text into pieces.
    missing
        the extra ids of the single bytes that are not tokens, with those bytes.
    """

    def __init__(
        self,
        encoder: Encoder | GeneralEncoder,
        split: Callable[[str], list[str]],
        missing: dict[int, bytes],
    ) -> None:
        self._encoder = encoder
        self._split = split
        self._missing = missing

    def encode(
        self,
        text: str,
        specials: Specials | None = None,
        limit: int = NO_LIMIT,
        guard: Specials | None = None,
    ) -> Any:
        """Return the ids of `text`, at most `limit`, or None if it has a token of the guard."""
        if not isinstance(text, str):
            raise TypeError(f"expected a str, got {type(text).__name__}")
        data = text.encode("utf-8")
        if guard is not None and guard.search(text) is not None:
            return None
        ids: list[int] = []
        reached = 0
        for start, end, special in specials.cut(data) if specials is not None else ():
            self._encode_part(data[reached:start].decode("utf-8"), ids, limit)
            ids.append(special)
            reached = end
        self._encode_part(data[reached:].decode("utf-8"), ids, limit)
        return ids[:limit]

    def encode_to_array(
        self,
        text: Any,
        specials: Specials | None = None,
        limit: int = NO_LIMIT,
        guard: Specials | None = None,
    ) -> Any:
        """Return the ids of a str as an array of uint32."""
        ids = self.encode(text, specials, limit, guard)
        return None if ids is None else np.array(ids, np.uint32)

    def encode_buffer(self, data: Any, limit: int = NO_LIMIT) -> Any:
        """Return the ids of a buffer of UTF-8 as an array of uint32."""
        return self.encode_to_array(text_of(data), None, limit)

    def encode_into(
        self,
        text: Any,
        out: Any,
        specials: Specials | None = None,
        limit: int = NO_LIMIT,
        guard: Specials | None = None,
        is_checked: bool = False,
    ) -> Any:
        """Write the ids into a checked `out`; return their number."""
        if not is_checked:
            return NotImplemented
        ids = self.encode_to_array(text, specials, limit, guard)
        if ids is None:
            return None
        target = np.asarray(out)
        if len(ids) > len(target):
            raise ValueError(f"the text has {len(ids)} ids; there is room for {len(target)}")
        if len(ids) and ids.max() > np.iinfo(target.dtype).max:
            raise OverflowError(f"id {ids.max()} does not fit {target.dtype}; give a uint32 buffer")
        target[: len(ids)] = ids
        return len(ids)

    def encode_documents(
        self,
        texts: Sequence[Any],
        out: Any,
        ends: Any,
        *,
        end_token: int | None = None,
        close_last: bool = True,
    ) -> int:
        """Write the ids of all texts into `out`; return their number."""
        written = 0
        for number, text in enumerate(texts):
            written += self.encode_into(text_of(text, number), out[written:], is_checked=True)
            if end_token is not None and (close_last or number + 1 < len(texts)):
                out[written] = end_token
                written += 1
            ends[number] = written
        return written

    def count(
        self,
        text: Any,
        specials: Specials | None = None,
        limit: int = NO_LIMIT,
        guard: Specials | None = None,
    ) -> Any:
        """Count the ids of a str, up to `limit`."""
        ids = self.encode(text, specials, limit, guard)
        return None if ids is None else len(ids)

    def encode_piece(self, piece: bytes) -> list[int]:
        """Return the ids of one piece."""
        return self._checked(self._encoder.encode_piece(piece), piece)

    def merge_piece(self, piece: bytes, way: str) -> list[int]:
        """Return the ids of one piece by merging only."""
        return self._checked(self._encoder.merge_piece(piece, way), piece)

    def _checked(self, ids: list[int], piece: bytes) -> list[int]:
        if self._missing:
            for i in ids:
                if i in self._missing:
                    raise MissingByte(
                        f"byte 0x{self._missing[i][0]:02X} is not a token of this vocabulary, and in "
                        f"{piece[:40]!r} it is not part of a merge"
                    )
        return ids

    def find(self, token: bytes) -> int:
        """Return the id of a token, or -1."""
        found = self._encoder.find(token)
        return -1 if found in self._missing else found

    def last_piece(self, text: bytes) -> int:
        """Return the offset of the last piece of a UTF-8 text."""
        pieces = self._split(text.decode("utf-8"))
        return len(text) - len(pieces[-1].encode("utf-8")) if pieces else len(text)

    def _encode_part(self, text: str, ids: list[int], limit: int) -> None:
        for piece in self._split(text):
            if len(ids) >= limit:
                break
            ids += self.encode_piece(piece.encode("utf-8"))


def text_of(text: Any, number: int = 0) -> str:
    """Decode a buffer of UTF-8; return a str as it is. Raises InvalidUtf8 with the text's `number`."""
    if isinstance(text, str):
        return text
    try:
        return bytes(text).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidUtf8(
            f"text {number} is not UTF-8: no character starts at byte {error.start}; "
            "decode it with its actual encoding first",
            number,
            error.start,
        ) from None
