"""datatrove's tokenized files, as nanotron reads them: ``.ds`` and ``.ds.index``.

A ``.ds`` holds ids, uint16 or uint32, without a header; its ``.ds.index`` the end of each document in
ids, uint64: the very bytes of a shard's ``.bin`` and ``.ends``. A ``.ds.metadata`` names the
tokenizer, the bytes of an id and the number of ids, for people.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fastprep.errors import InvalidInput
from fastprep.exchange.layouts import CHUNK, Ends, Part, Source, file_size, read_ids, whole_ids

_MEND = "copy both files again, or write them again with the program that made them"


def metadata(encoding: str, itemsize: int, tokens: int) -> bytes:
    """The text of a ``.ds.metadata``.

    Examples
    --------
    >>> metadata("gpt2", 2, 1234567)
    b'gpt2|2\\n1234567\\n1.23 MT'
    """
    shown, unit = float(tokens), ""
    for unit in ("", "k", "M", "G", "T", "P"):
        if shown < 1000 or unit == "P":
            break
        shown /= 1000
    return f"{encoding}|{itemsize}\n{tokens}\n{shown:.3g} {unit}T".encode()


def read(path: Path) -> Source:
    """The ids and documents of a ``.ds``, the index being beside it.

    The file does not say how long an id is; the last document end does.

    Raises
    ------
    InvalidInput
        when one of the two is missing or cut, or they contradict each other.
    """
    size = file_size(path, "datatrove's ids lie in a .ds")
    index = whole_ids(
        Path(f"{path}.index"), np.dtype("<u8"), "datatrove's document ends lie beside the .ds"
    )
    last = 0
    if index.size:
        tail = Part(index.path, index.dtype, 8 * (index.size - 1), 1)
        last = int(next(read_ids(tail))[0])
    if size not in (2 * last, 4 * last):
        raise InvalidInput(
            f"{path}: {size} bytes are neither 2 nor 4 for each of the {last} ids that "
            f"{index.path.name} tells of; {_MEND}"
        )
    dtype = np.dtype("<u2" if size == 2 * last else "<u4")

    def ends() -> Iterator[Ends]:
        return (chunk.copy() for chunk in read_ids(index, CHUNK))

    return Source((Part(path, dtype, 0, last),), ends)
