"""Documents that are token ids already: checks of the ids, and their copy into a shard's arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastprep.corpus.documents import Batch
    from fastprep.store.encodings import StoreEncoding
    from fastprep_ext.base import Rows


def faults(
    batch: Batch, encoding: StoreEncoding, end_token: int | None, *, prepend: bool
) -> list[tuple[int, str]]:
    """Return the documents of a batch that cannot be in a store, by number, and why.

    An id must be in the vocabulary, and the end token only at its end of a document.
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
        inner = ids[1:] if prepend else ids[:-1]
        if end_token is not None and (inner == end_token).any():
            place = int((inner == end_token).argmax()) + prepend
            found.append((index, f"id {place} is the end token {end_token}, inside the document"))
    return found


def copy_ids(rows: Rows, out: Any, ends: Any, end_token: int | None, *, prepend: bool) -> int:
    """Copy documents of ids back to back, each with one end token; return the number of ids.

    A document that has its end token keeps that one.
    """
    ids_out, ends_out = np.asarray(out), np.asarray(ends)
    at = 0
    for index, content in enumerate(rows):
        ids = np.frombuffer(content, "<u4")
        has_end = bool(len(ids)) and ids[0 if prepend else -1] == end_token
        if end_token is not None and not has_end and prepend:
            ids_out[at] = end_token
            at += 1
        ids_out[at : at + len(ids)] = ids
        at += len(ids)
        if end_token is not None and not has_end and not prepend:
            ids_out[at] = end_token
            at += 1
        ends_out[index] = at
    return at
