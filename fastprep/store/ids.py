"""Documents that are token ids already: checks of the ids, and their copy into a shard's arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from fastprep.corpus.documents import Batch
    from fastprep.store.encodings import StoreEncoding
    from fastprep_ext.base import Rows

#: The ids before and after each document; None for no id.
Sides: TypeAlias = tuple[int | None, int | None]


def faults(batch: Batch, encoding: StoreEncoding, sides: Sides) -> list[tuple[int, str]]:
    """Return the documents of a batch that cannot be in a store, by number, and why.

    An id must be in the vocabulary, and the tokens at the ends of documents only there.
    """
    found = []
    for index, content in enumerate(batch.texts):
        ids = np.frombuffer(content, "<u4")
        wrong = ids >= encoding.n_vocab
        if wrong.any():
            place = int(wrong.argmax())
            found.append(
                (
                    index,
                    f"id {place} is {ids[place]}, and {encoding.name!r} has {encoding.n_vocab} ids",
                )
            )
            continue
        start, inner = _inner(ids, sides)
        for token in {*sides} - {None}:
            inside = inner == token
            if inside.any():
                place = start + int(inside.argmax())
                found.append((index, f"id {place} is the end token {token}, inside the document"))
                break
    return found


def copy_ids(rows: Rows, out: Any, ends: Any, sides: Sides) -> int:
    """Copy documents of ids back to back, each with one token at each end; return the number of ids.

    A document that has its token keeps that one.
    """
    ids_out, ends_out = np.asarray(out), np.asarray(ends)
    at = 0
    for index, content in enumerate(rows):
        _, inner = _inner(np.frombuffer(content, "<u4"), sides)
        for part in sides[0], inner, sides[1]:
            if part is not None:
                size = np.size(part)
                ids_out[at : at + size] = part
                at += size
        ends_out[index] = at
    return at


def _inner(ids: npt.NDArray[np.uint32], sides: Sides) -> tuple[int, npt.NDArray[np.uint32]]:
    """Return the ids of a document between the tokens that it has already, and where they start."""
    before, after = sides
    start = int(before is not None and len(ids) > 0 and int(ids[0]) == before)
    inner = ids[start:]
    if after is not None and len(inner) and int(inner[-1]) == after:
        inner = inner[:-1]
    return start, inner
