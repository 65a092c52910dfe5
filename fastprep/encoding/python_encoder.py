"""An encoder in Python, for ranks that lack bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastprep.errors import InvalidUtf8, MissingByte
from fastprep_ext.bpe import Encoder, Specials


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
        self, text: str, specials: Specials | None = None, max_tokens: int | None = None
    ) -> Any:
        """Return the ids of `text`, at most `max_tokens`."""
        if not isinstance(text, str):
            raise TypeError(f"expected a str, got {type(text).__name__}")
        data = text.encode("utf-8")
        ids: list[int] = []
        reached = 0
        for start, end, special in specials.cut(data) if specials is not None else ():
            self._encode_part(data[reached:start].decode("utf-8"), ids, max_tokens)
            ids.append(special)
            reached = end
        self._encode_part(data[reached:].decode("utf-8"), ids, max_tokens)
        return ids if max_tokens is None else ids[:max_tokens]

    def encode_to_buffer(
        self, text: Any, specials: Specials | None = None, max_tokens: int | None = None
    ) -> memoryview:
        """Return the ids of a str, or of a buffer of UTF-8, as uint32."""
        return memoryview(self._encode_to_array(text, specials, max_tokens))

    def encode_into(
        self, text: Any, out: Any, specials: Specials | None = None, max_tokens: int | None = None
    ) -> int:
        """Write the ids into `out`; return their number."""
        ids = self._encode_to_array(text, specials, max_tokens)
        target = np.asarray(out)
        if len(ids) > len(target):
            raise ValueError(f"the text has {len(ids)} ids; there is room for {len(target)}")
        if len(ids) and ids.max() > np.iinfo(target.dtype).max:
            raise OverflowError(f"id {ids.max()} does not fit {target.dtype}; give a uint32 buffer")
        target[: len(ids)] = ids
        return len(ids)

    def _encode_to_array(
        self, text: Any, specials: Specials | None, max_tokens: int | None
    ) -> npt.NDArray[np.uint32]:
        return np.array(self.encode(text_of(text), specials, max_tokens), np.uint32)

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
            written += self.encode_into(text_of(text, number), out[written:])
            if end_token is not None and (close_last or number + 1 < len(texts)):
                out[written] = end_token
                written += 1
            ends[number] = written
        return written

    def encode_rows(self, text: Any, starts: Any, stops: Any, ends: Any) -> memoryview:
        """Return the ids of rows of one buffer of UTF-8, back to back."""
        arrays = [np.empty(0, np.uint32)]
        total = 0
        for row, (start, stop) in enumerate(zip(starts.tolist(), stops.tolist(), strict=True)):
            section = text_of(memoryview(text)[start:stop], row)
            arrays.append(np.asarray(self.encode_to_buffer(section)))
            total += len(arrays[-1])
            ends[row] = total
        return memoryview(np.concatenate(arrays))

    def count(self, text: Any, specials: Specials | None = None) -> int:
        """Count the ids of a str, or of a buffer of UTF-8."""
        return len(self.encode(text_of(text), specials))

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

    def _encode_part(self, text: str, ids: list[int], max_tokens: int | None) -> None:
        for piece in self._split(text):
            if max_tokens is not None and len(ids) >= max_tokens:
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
