"""Folders that `save_to_disk` of Hugging Face `datasets` wrote: which files are the data set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from fastprep.corpus.documents import Span
from fastprep.errors import InvalidInput

T = TypeVar("T")


class _File(msgspec.Struct):
    filename: str


class _State(msgspec.Struct):
    """The part of a data set's `state.json` that says where its rows are."""

    data_files: list[_File] = msgspec.field(name="_data_files")
    # Of old versions: the order of rows in a data set that was shuffled or filtered.
    indices_files: list[_File] | None = msgspec.field(default=None, name="_indices_data_files")


class _Splits(msgspec.Struct):
    splits: list[str]


def files_of_data_sets(folder: str, spans: Sequence[Span]) -> list[Span]:
    """Return the files of a folder that are to be read, without cached tables of saved data sets.

    Raises InvalidInput for a folder with several splits, for a data set whose rows are in another order
    than its files, and if a file of it is missing.

    >>> state = '{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}'
    >>> _ = (tmp / "state.json").write_text(state)
    >>> names = ["cache-5a1b.arrow", "data-00000-of-00001.arrow"]
    >>> found = files_of_data_sets(str(tmp), [Span(str(tmp / name), 0, 9, 9) for name in names])
    >>> [Path(span.path).name for span in found]
    ['data-00000-of-00001.arrow']
    """
    splits = _read(Path(folder) / "dataset_dict.json", _Splits)
    if splits is not None and len(splits.splits) > 1:
        raise InvalidInput(
            f"{folder}: it has several data sets; pass one of "
            f"{', '.join(f'{folder}/{name}' for name in splits.splits)}"
        )
    if not any(end.lower() == ".arrow" for end in {span.path[-6:] for span in spans}):
        return [*spans]
    wanted: dict[str, set[str] | None] = {}
    found = []
    for span in spans:
        if not span.path.lower().endswith(".arrow"):
            found.append(span)
            continue
        parent, name = os.path.split(span.path)
        if parent not in wanted:
            wanted[parent] = _files(Path(parent))
        names = wanted[parent]
        if names is None or name in names:
            found.append(span)
    there = {os.path.split(span.path) for span in found}
    for parent, names in wanted.items():
        for name in sorted(names or ()):
            if (parent, name) not in there:
                raise InvalidInput(
                    f"{parent}/{name}: no such file, although {parent}/state.json names it; copy the "
                    "folder again"
                )
    return found


def _files(folder: Path) -> set[str] | None:
    """Return the names of a saved data set's files, or None if the folder is not one."""
    path = folder / "state.json"
    state = _read(path, _State)
    if state is None:
        return None
    if state.indices_files:
        raise InvalidInput(
            f"{folder}: its rows are in another order than its files; load it, and save it again after "
            "flatten_indices()"
        )
    return {file.filename for file in state.data_files}


def _read(path: Path, kind: type[T]) -> T | None:
    """Read a file of JSON; return None if there is none, or none of that kind."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
