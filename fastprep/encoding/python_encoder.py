"""An encoder for any pattern, and for vocabularies that lack bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastprep.errors import InvalidUtf8, MissingByte
from fastprep_ext.bpe import Encoder, Specials


class GeneralEncoder:
    """The interface of :class:`fastprep_ext.bpe.Encoder`, a piece at a time and so slower.

    Parameters
    ----------
    encoder
        merges the pieces.
    split
        text to its pieces.
    missing
        ids that stand for the single bytes that are no tokens, with those bytes.
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

    def encode(self, text: str, specials: Specials | None = None, most: int | None = None) -> Any:
        """The ids of `text`, at most so many."""
        if not isinstance(text, str):
            raise TypeError(f"expected a str, got {type(text).__name__}")
        data = text.encode("utf-8")
        ids: list[int] = []
        begin = 0
        for start, end, special in specials.cut(data) if specials is not None else ():
            self._encode_part(data[begin:start].decode("utf-8"), ids, most)
            ids.append(special)
            begin = end
        self._encode_part(data[begin:].decode("utf-8"), ids, most)
        return ids if most is None else ids[:most]

    def encode_to_buffer(
        self, text: Any, specials: Specials | None = None, most: int | None = None
    ) -> memoryview:
        """The ids of a str, or of a buffer of UTF-8."""
        return memoryview(np.array(self.encode(text_of(text), specials, most), np.uint32))

    def encode_into(
        self, text: Any, out: Any, specials: Specials | None = None, most: int | None = None
    ) -> int:
        """Writes the ids into `out`; how many."""
        ids = self.encode(text_of(text), specials, most)
        if len(ids) > len(out):
            raise ValueError(f"the text has {len(ids)} ids; there is room for {len(out)}")
        limit = np.iinfo(np.asarray(out).dtype).max
        if ids and max(ids) > limit:
            raise OverflowError(f"id {max(ids)} does not fit; give a uint32 buffer")
        np.asarray(out)[: len(ids)] = ids
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
        """Writes the ids of all texts into `out`; how many."""
        written = 0
        for number, text in enumerate(texts):
            written += self.encode_into(text_of(text, number), out[written:])
            if end_token is not None and (close_last or number + 1 < len(texts)):
                out[written] = end_token
                written += 1
            ends[number] = written
        return written

    def encode_rows(self, text: Any, starts: Any, stops: Any, ends: Any) -> memoryview:
        """The ids of rows that lie in one buffer of UTF-8, back to back."""
        arrays = [np.empty(0, np.uint32)]
        reached = 0
        for row, (start, stop) in enumerate(zip(starts.tolist(), stops.tolist(), strict=True)):
            section = text_of(memoryview(text)[start:stop], row)
            arrays.append(np.asarray(self.encode_to_buffer(section)))
            reached += len(arrays[-1])
            ends[row] = reached
        return memoryview(np.concatenate(arrays))

    def count(self, text: Any, specials: Specials | None = None) -> int:
        """How many ids a str, or a buffer of UTF-8, has."""
        return len(self.encode(text_of(text), specials))

    def encode_piece(self, piece: bytes) -> list[int]:
        """The ids of one piece."""
        return self._all_there(self._encoder.encode_piece(piece), piece)

    def merge_piece(self, piece: bytes, way: str) -> list[int]:
        """The ids of one piece by merging alone."""
        return self._all_there(self._encoder.merge_piece(piece, way), piece)

    def _all_there(self, ids: list[int], piece: bytes) -> list[int]:
        if self._missing:
            for i in ids:
                if i in self._missing:
                    raise MissingByte(
                        f"byte 0x{self._missing[i][0]:02X} is no token of this vocabulary, and in "
                        f"{piece[:40]!r} no merge takes it in"
                    )
        return ids

    def find(self, token: bytes) -> int:
        """The id of a token, or -1."""
        found = self._encoder.find(token)
        return -1 if found in self._missing else found

    def last_piece(self, text: bytes) -> int:
        """The byte at which the last piece of a UTF-8 text begins."""
        pieces = self._split(text.decode("utf-8"))
        return len(text) - len(pieces[-1].encode("utf-8")) if pieces else len(text)

    def _encode_part(self, text: str, ids: list[int], most: int | None) -> None:
        for piece in self._split(text):
            if most is not None and len(ids) >= most:
                break
            ids += self.encode_piece(piece.encode("utf-8"))


def text_of(text: Any, number: int = 0) -> str:
    """A str, or a buffer of UTF-8 as one. Raises InvalidUtf8 with the `number` of the text."""
    if isinstance(text, str):
        return text
    try:
        return bytes(text).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidUtf8(
            f"text {number} is not UTF-8: no character begins at byte {error.start}; "
            "decode it with its real encoding first",
            number,
            error.start,
        ) from None
