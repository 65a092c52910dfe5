"""What a user names as inputs, file by file: paths, folders, patterns and URLs."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from fastprep.corpus.documents import Format, Span, is_unicode
from fastprep.corpus.formats import SUPPORTED, in_folders, kind_of
from fastprep.corpus.in_memory import is_table
from fastprep.corpus.remote import expand_url, is_url
from fastprep.corpus.sources import may_be_path, whole
from fastprep.errors import InvalidInput

# A path, or what :mod:`fastprep.corpus.tables` takes, or some of these.
Inputs: TypeAlias = Any

_OF_STORES = ("job.json", "manifest.json", "vocabulary.json")


def find(inputs: Inputs, form: Format | None = None) -> list[Span]:
    """The files that some inputs stand for, each as a whole, in an order that depends on names alone.

    An input is a file; a folder, for all files in it and in the folders in it that can be read (but
    plain ``.json`` ones, which are more often about data than data); a pattern with ``*``, ``?``
    and ``[...]``, where ``**`` stands for folders in folders, for the files of its kind that can be
    read (but those in which a store, or unfinished work on one, tells about itself); or a URL of
    one of these, a folder with ``/`` at its end. Inputs stay in the order in which they are given,
    what a folder or a pattern stands for is sorted by name, and names that begin with a dot are
    passed over.

    An input may also be a table or a stream of texts: see :mod:`fastprep.corpus.tables`.

    Raises
    ------
    InvalidInput
        for a file that is missing or cannot be read, and for a folder or pattern that stands for
        no file at all.

    Examples
    --------
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
        given = list(inputs)
    if not given:
        raise InvalidInput("no inputs; pass at least one file, folder or pattern")
    spans: list[Span] = []
    for number, one in enumerate(given, 1):
        if is_table(one):
            from fastprep.corpus.tables import whole_table

            spans.append(whole_table(one, number, form or Format()))
        elif isinstance(one, (str, PathLike)):
            spans += _find_one(one)
        else:
            raise InvalidInput(
                f"input {number} is a {type(one).__name__}; pass a path, an Arrow table or stream, or "
                "a data set of Hugging Face"
            )
    return spans


def _find_one(path: str | PathLike[str]) -> Iterator[Span]:
    name = os.fspath(path)
    if is_url(name):
        yield from _behind_url(name)
        return
    try:
        is_there, is_folder = Path(name).exists(), Path(name).is_dir()
    except (OSError, ValueError):  # too long a name, a NUL in it: `whole` says so
        is_there = is_folder = False
    if is_folder:
        spans = [*_in_folder(Path(name).as_posix())]
        if not spans:
            raise InvalidInput(
                f"{name}: no files in this folder can be read; supported are {SUPPORTED}"
            )
        yield from sorted(spans, key=lambda span: span.path)
    elif not is_there and glob.has_magic(name) and "\0" not in name and may_be_path(name):
        matches = [
            match
            # Path.glob knows no absolute patterns.
            for match in sorted(glob.glob(name, recursive=True))  # noqa: PTH207
            if kind_of(match) is not None and Path(match).is_file() and not _is_of_a_store(match)
        ]
        if not matches:
            raise InvalidInput(
                f"{name}: no file that can be read is of this pattern; supported are {SUPPORTED}"
            )
        yield from map(whole, matches)
    else:
        yield whole(path)


def _is_of_a_store(path: str) -> bool:
    """Whether a store, finished or not, tells about itself in a file: it may lie beside its inputs."""
    folder, name = Path(path).parent, Path(path).name
    if name not in _OF_STORES:
        return False
    return (
        any((folder / known).exists() for known in ("run.lock", "shard-00000.bin"))
        or (folder.parent / "run.lock").exists()  # one of two parts, before its first shard
    )


def _in_folder(folder: str) -> Iterator[Span]:
    """The files in a folder, at any depth, that it means when it is given as an input."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = entry.name if folder == "." else f"{folder.rstrip('/')}/{entry.name}"
            # Links to files are followed, links to folders, which might lead around in circles, not.
            if entry.is_dir(follow_symlinks=False):
                yield from _in_folder(path)
            elif in_folders(entry.name) and entry.is_file():
                # One look at each is enough; `whole` would take some more.
                size = entry.stat().st_size
                yield Span(path, 0, size, size) if is_unicode(path) else whole(path)


def _behind_url(url: str) -> Iterator[Span]:
    is_folder = url.endswith("/")
    if not is_folder and not glob.has_magic(url):
        yield whole(url)
        return
    root = url.rstrip("/").count("/")
    wanted = in_folders if is_folder else (lambda name: kind_of(name) is not None)
    found = [
        (name, size)
        for name, size in expand_url(url)
        if wanted(name) and not any(part.startswith(".") for part in name.split("/")[root:])
    ]
    if not found:
        raise InvalidInput(f"{url}: no file that can be read is there; supported are {SUPPORTED}")
    for name, size in sorted(found):
        # The listing told the size, most likely: no question for each file.
        yield whole(name) if size is None else Span(name, 0, size, size)
