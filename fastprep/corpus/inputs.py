"""Expansion of a user's inputs to files: paths, folders, patterns and URLs."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from fastprep.corpus.documents import Format, Span, is_unicode
from fastprep.corpus.formats import SUPPORTED, in_folders
from fastprep.corpus.in_memory import Documents, as_inputs, is_table
from fastprep.corpus.remote import expand_url, is_url
from fastprep.corpus.saved import files_of_data_sets
from fastprep.corpus.sources import may_be_path, whole
from fastprep.errors import InvalidInput

# A path, a table or stream of :mod:`fastprep.corpus.tables`, or an iterable of these.
Inputs: TypeAlias = Any

_STORE_FILES = ("job.json", "manifest.json", "vocabulary.json")


def find(inputs: Inputs, form: Format | None = None) -> list[Span]:
    """Return the files of some inputs, each as a whole, in an order that depends on names alone.

    An input is one of

    - a file;
    - a folder: all readable files in it and its subfolders, except plain ``.json`` files, which are
      usually metadata, unless it has no others; of a data set that `save_to_disk` wrote, its files;
    - a pattern with ``*``, ``?`` and ``[...]``, and ``**`` for any depth of folders: all readable files
      that match, except the metadata of stores and of unfinished work on them;
    - a URL of one of these; that of a folder ends with ``/``;
    - a table or a stream of texts: see :mod:`fastprep.corpus.tables`;
    - ``"-"``, standard input, if ``form`` names its format.

    An iterator or list of dicts is one stream of documents.

    Inputs keep their order, the files of a folder or pattern are sorted by name, and names that start
    with a dot are skipped. Raises InvalidInput for a file that is missing or cannot be read, and for a
    folder or pattern without files.

    >>> for name in ("b.txt", "a.jsonl", ".hidden.txt", "README.md"):
    ...     _ = (tmp / name).write_text("")
    >>> [Path(span.path).name for span in find(tmp)]
    ['a.jsonl', 'b.txt']
    >>> [Path(span.path).name for span in find(tmp / "*.txt")]
    ['b.txt']
    """
    if isinstance(inputs, (str, PathLike)) or is_table(inputs) or not isinstance(inputs, Iterable):
        given = [inputs]
    else:
        given = as_inputs(inputs)
    if not given:
        raise InvalidInput("no inputs; pass at least one file, folder or pattern")
    form = form or Format()
    spans: list[Span] = []
    for number, one in enumerate(given, 1):
        if isinstance(one, str) and one == "-":
            from fastprep.corpus.streams import standard_input

            spans.append(standard_input(form))
        elif isinstance(one, Documents):
            from fastprep.corpus.streams import stream_of_documents

            spans.append(stream_of_documents(one, number, form))
        elif is_table(one):
            from fastprep.corpus.tables import whole_table

            spans.append(whole_table(one, number, form))
        elif isinstance(one, (str, PathLike)):
            spans += _find_one(one, form)
        else:
            raise InvalidInput(
                f"input {number} is a {type(one).__name__}; pass a path, an Arrow table or stream, or "
                "a data set of Hugging Face"
            )
    return spans


def _find_one(path: str | PathLike[str], form: Format) -> Iterator[Span]:
    name = os.fspath(path)
    if is_url(name):
        yield from _at_url(name, form)
        return
    try:
        is_there, is_folder = Path(name).exists(), Path(name).is_dir()
    except (OSError, ValueError):  # a name that is too long or has a NUL: `whole` reports it
        is_there = is_folder = False
    if is_folder:
        folder = Path(name).as_posix()
        spans = [*_in_folder(folder, form)] or [*_in_folder(folder, form, json=True)]
        spans = files_of_data_sets(folder, spans)
        if not spans:
            raise InvalidInput(
                f"{name}: no files in this folder can be read; supported are {SUPPORTED}"
            )
        yield from sorted(spans, key=lambda span: span.path)
    elif not is_there and glob.has_magic(name) and "\0" not in name and may_be_path(name):
        matches = [
            match
            # Path.glob does not accept absolute patterns.
            for match in sorted(glob.glob(name, recursive=True))  # noqa: PTH207
            if form.kind(match) is not None and Path(match).is_file() and not _is_of_a_store(match)
        ]
        if not matches:
            raise InvalidInput(
                f"{name}: no file that can be read matches this pattern; supported are {SUPPORTED}"
            )
        yield from (whole(match, form) for match in matches)
    else:
        yield whole(path, form)


def _is_of_a_store(path: str) -> bool:
    """Return whether a file is metadata of a store, finished or not, whose folder may have inputs."""
    folder, name = Path(path).parent, Path(path).name
    if name not in _STORE_FILES:
        return False
    return (
        any((folder / known).exists() for known in ("run.lock", "shard-00000.bin"))
        or (folder.parent / "run.lock").exists()  # a part of a job, before its first shard
    )


def _in_folder(folder: str, form: Format, *, json: bool = False) -> Iterator[Span]:
    """Yield the files of a folder, at any depth, that are read if the folder is an input."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = entry.name if folder == "." else f"{folder.rstrip('/')}/{entry.name}"
            # Links to files are followed, but not links to folders, which may form cycles.
            if entry.is_dir(follow_symlinks=False):
                yield from _in_folder(path, form, json=json)
            elif in_folders(entry.name, form.format, json=json) and entry.is_file():
                # One stat per file; `whole` would make more.
                size = entry.stat().st_size
                yield Span(path, 0, size, size) if is_unicode(path) else whole(path, form)


def _at_url(url: str, form: Format) -> Iterator[Span]:
    is_folder = url.endswith("/")
    if not is_folder and not glob.has_magic(url):
        yield whole(url, form)
        return
    root = url.rstrip("/").count("/")
    listed = [
        (name, size)
        for name, size in expand_url(url)
        if not any(part.startswith(".") for part in name.split("/")[root:])
    ]
    if is_folder:
        found = [entry for entry in listed if in_folders(entry[0], form.format)] or [
            entry for entry in listed if in_folders(entry[0], form.format, json=True)
        ]
    else:
        found = [entry for entry in listed if form.kind(entry[0]) is not None]
    if not found:
        raise InvalidInput(f"{url}: no file that can be read is there; supported are {SUPPORTED}")
    for name, size in sorted(found):
        # The listing usually has the size, which saves a request per file.
        yield whole(name, form) if size is None else Span(name, 0, size, size)
