"""Ids of a text in an array, between the special tokens that the template of a vocabulary adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from fastprep.encoding.encoding import Encoding


def encode_to_numpy(
    encoding: Encoding, text: str, out: npt.NDArray[Any] | None, **options: Any
) -> npt.NDArray[Any]:
    """Encode `text` into an array, or into `out`; see :meth:`fastprep.Encoding.encode_to_numpy`."""
    before, after = encoding.recipe.template
    if out is None:
        ids = encoding.encode_to_numpy(text, **options)
        return np.concatenate([np.array(before, np.uint32), ids, np.array(after, np.uint32)])
    added = len(before) + len(after)
    if len(out) < added:
        raise ValueError(f"{added} special tokens are added; there is room for {len(out)} ids")
    if max((*before, *after), default=0) > np.iinfo(out.dtype).max:
        raise OverflowError("a special token does not fit uint16; release a uint32 buffer")
    room = out[len(before) : len(out) - len(after)]
    end = len(before) + len(encoding.encode_to_numpy(text, out=room, **options))
    out[: len(before)] = before
    out[end : end + len(after)] = after
    return out[: end + len(after)]
