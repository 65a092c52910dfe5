"""Cache of vocabularies that were read from large files, as their arrays.

An entry is a file of :mod:`fastprep.vocabulary.recipe_file` in the directory ``vocabularies`` of the
cache (:func:`fastprep.system.caches.cache_root`), under the sha256 of the file that it was read from and
the version of the reader. It appears whole, and is used only if its checksum is right. Nothing about
the cache is ever an error: without it, or with a damaged entry, the file is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from fastprep.errors import BadVocabulary
from fastprep.system.atomic import TEMPORARY_SUFFIX, remove, replacing
from fastprep.system.caches import cache_root, is_cache_off
from fastprep.vocabulary.recipe import Recipe
from fastprep.vocabulary.recipe_file import from_recipe_file, to_recipe_file

#: Files of fewer bytes are read faster than it takes to look here.
MIN_FILE_BYTES = 1 << 18
#: When an entry is written, the entries that were used longest ago are removed beyond this size.
MAX_CACHE_BYTES = 1 << 29
#: Of the readers of vocabulary files: another number for each change of what they make of a file.
READER_VERSION = 1


def recipe_of(
    data: bytes, kind: str, read: Callable[[], Recipe], *, name: str, source: str, missing: str
) -> Recipe:
    """Return the recipe of a file's content: from the cache, or else as `read` returns it.

    `kind` is that of the file; the last three arguments are fields of the recipe that the content does
    not determine.
    """
    digest = hashlib.sha256(data).hexdigest()
    return _found(data, digest, kind, read, name, source, missing).read_from(digest)


def _found(
    data: bytes,
    digest: str,
    kind: str,
    read: Callable[[], Recipe],
    name: str,
    source: str,
    missing: str,
) -> Recipe:
    if len(data) < MIN_FILE_BYTES or is_cache_off():
        return read()
    try:
        path = cache_root() / "vocabularies" / f"{digest}.{kind}.{READER_VERSION}"
    except (RuntimeError, OSError):  # no home directory
        return read()
    with contextlib.suppress(OSError, BadVocabulary):
        found = from_recipe_file(path.read_bytes(), name, source, missing)
        with contextlib.suppress(OSError):
            os.utime(path)
        return found
    recipe = read()
    with contextlib.suppress(OSError):
        _write(path, to_recipe_file(recipe))
    return recipe


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with replacing(path, sync=False) as file:
        file.write(content)
    _shrink(path.parent)


def _shrink(directory: Path) -> None:
    """Remove the entries that were used longest ago, until the others fit."""
    entries = []
    for entry in directory.iterdir():
        with contextlib.suppress(OSError):
            status = entry.stat()
            entries.append((status.st_mtime, status.st_size, entry))
    total = 0
    for _, size, entry in sorted(entries, reverse=True, key=lambda item: item[0]):
        total += size
        if total > MAX_CACHE_BYTES and entry.suffix != TEMPORARY_SUFFIX:
            with contextlib.suppress(OSError):
                remove(entry)
