"""An encoder for text that is changed or cut before it is split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from fastprep.encoding.added_tokens import AddedTokens
from fastprep.encoding.python_encoder import GeneralEncoder, text_of
from fastprep.errors import TextIsChanged
from fastprep_ext.bpe import Encoder, Specials


class SectionEncoder(GeneralEncoder):
    """The interface of :class:`fastprep_ext.bpe.Encoder`, a section of the text at a time.

    Parameters
    ----------
    encoder
        splits and merges the sections.
    added
        cuts the text at added tokens, and normalizes what lies between.
    space_before
        whether a space is put before a section that begins with none.
    """

    def __init__(
        self, encoder: Encoder | GeneralEncoder, added: AddedTokens, space_before: bool
    ) -> None:
        super().__init__(encoder, lambda text: [text], {})
        self._added = added
        self._space_before = space_before

    def encode(self, text: str, specials: Specials | None = None, most: int | None = None) -> Any:
        """The ids of `text`, at most so many."""
        ids: list[int] = []
        for section, id in self._sections(text, specials):
            ids += self._encoder.encode(section)
            if id is not None:
                ids.append(id)
            if most is not None and len(ids) >= most:
                break
        return ids if most is None else ids[:most]

    def encode_to_buffer(
        self, text: Any, specials: Specials | None = None, most: int | None = None
    ) -> memoryview:
        """The ids of a str, or of a buffer of UTF-8."""
        return memoryview(self._array(text_of(text), specials)[:most])

    def encode_into(
        self, text: Any, out: Any, specials: Specials | None = None, most: int | None = None
    ) -> int:
        """Writes the ids into `out`; how many."""
        ids = self._array(text_of(text), specials)[:most]
        room = np.asarray(out)
        if len(ids) > len(room):
            raise ValueError(f"the text has {len(ids)} ids; there is room for {len(room)}")
        if len(ids) and ids.max() > np.iinfo(room.dtype).max:
            raise OverflowError(f"id {ids.max()} does not fit {room.dtype}; give a uint32 buffer")
        room[: len(ids)] = ids
        return len(ids)

    def last_piece(self, text: bytes) -> NoReturn:
        """Not for text that is normalized or cut at added tokens: its pieces are not parts of it."""
        raise TextIsChanged(
            "this encoding changes text before it splits it (normal form C, a space before it, or "
            "added tokens that are cut out), so more text may change any of its ids: there is no "
            "encode_with_unstable, nor ids of bytes that end within a character; encode whole texts"
        )

    def _sections(self, text: str, specials: Specials | None) -> Iterator[tuple[str, int | None]]:
        if not isinstance(text, str):
            raise TypeError(f"expected a str, got {type(text).__name__}")
        allowed = () if specials is None else {token.decode("utf-8") for token in specials.tokens}
        for section, id in self._added.sections(text, allowed):
            if self._space_before and section and section[0] != " ":
                yield " " + section, id
            else:
                yield section, id

    def _array(self, text: str, specials: Specials | None) -> npt.NDArray[np.uint32]:
        arrays = []
        for section, id in self._sections(text, specials):
            arrays.append(np.frombuffer(self._encoder.encode_to_buffer(section), np.uint32))
            if id is not None:
                arrays.append(np.array([id], np.uint32))
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
