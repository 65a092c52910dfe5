"""datatrove's tokenized files, as nanotron reads them: ``.ds`` and ``.ds.index``.

A ``.ds`` is ids, uint16 or uint32, without a header; its ``.ds.index`` is the end of each document in
ids, uint64: byte for byte a shard's ``.bin`` and ``.ends``. A ``.ds.metadata`` names the tokenizer, the
bytes per id and the number of ids, for people.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fastprep.errors import InvalidInput
from fastprep.exchange.layouts import Ends, IdRange, ShardSource, file_size, read_ids, whole_file

_FIX = "copy both files again, or write them again with the program that made them"


def metadata(encoding: str, itemsize: int, tokens: int) -> bytes:
    """Return the content of a ``.ds.metadata``.

    >>> metadata("gpt2", 2, 1234567)
    b'gpt2|2\\n1234567\\n1.23 MT'
    """
    shown, unit = float(tokens), ""
    for unit in ("", "k", "M", "G", "T", "P"):
        if shown < 1000 or unit == "P":
            break
        shown /= 1000
    return f"{encoding}|{itemsize}\n{tokens}\n{shown:.3g} {unit}T".encode()


def read(path: Path) -> ShardSource:
    """Read the layout of a ``.ds`` and of the index beside it.

    The file does not record the bytes per id; they follow from its size and the last document end.
    Raises InvalidInput if one of the two files is missing or truncated, or they contradict each
    other.
    """
    size = file_size(path, "datatrove's ids are in a .ds")
    index = whole_file(
        Path(f"{path}.index"), np.dtype("<u8"), "datatrove's document ends are beside the .ds"
    )
    tokens = 0
    if index.num_ids:
        tail = IdRange(index.path, index.dtype, 8 * (index.num_ids - 1), 1)
        tokens = int(next(read_ids(tail))[0])
    if size not in (2 * tokens, 4 * tokens):
        raise InvalidInput(
            f"{path}: {size} bytes are neither 2 nor 4 for each of the {tokens} ids that "
            f"{index.path.name} records; {_FIX}"
        )
    dtype = np.dtype("<u2" if size == 2 * tokens else "<u4")

    def ends() -> Iterator[Ends]:
        return (chunk.copy() for chunk in read_ids(index))

    return ShardSource((IdRange(path, dtype, 0, tokens),), ends)
