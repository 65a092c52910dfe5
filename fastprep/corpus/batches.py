"""Texts that lie in one buffer, as batches: which of them are encoded together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from fastprep.corpus.documents import Bad, Batch, Place
from fastprep.encoding import cutting
from fastprep_ext.base import Rows


def deliver(
    text: Any,
    starts: Any,
    stops: Any,
    place: Place,
    bad: list[Bad],
    block_bytes: int,
    cut: bool,
) -> Iterator[Batch]:
    """Texts as batches of at most a block, or of one text that is longer.

    Text ``i`` is ``text[starts[i]:stops[i]]``; both are buffers of int64. With ``cut``, a longer one
    comes in parts, as :func:`fastprep.corpus.reader.batches` says.
    """
    texts = Rows(text, starts, stops)
    first = 0
    while first < len(texts):
        last, size = texts.reach(first, block_bytes)
        here = partial(_place_behind, place, first)
        if cut and size > block_bytes:
            *parts, end = cutting.cut(texts[first], block_bytes)
            offset = 0
            for part in parts:
                yield Batch([part], False, len(part), partial(_place_in, here, offset), bad)
                bad = []
                offset += len(part)
            yield Batch([end], True, len(end), partial(_place_in, here, offset), bad)
        else:
            yield Batch(texts[first:last], True, size, here, bad)
        bad = []
        first = last
    if bad:
        yield Batch([], True, 0, place, bad)


def _place_behind(place: Place, first: int, index: int, offset: int) -> tuple[str, int]:
    return place(first + index, offset)


def _place_in(place: Place, begin: int, index: int, offset: int) -> tuple[str, int]:
    return place(index, begin + offset)
