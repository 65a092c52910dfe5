"""Sources: the files that a comparison may read, though a store's manifest can name any."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TypeAlias

from fastprep.corpus.documents import Format, Span
from fastprep.corpus.remote import from_file_url, is_url, normal_url
from fastprep.corpus.sources import whole
from fastprep.errors import InvalidInput
from fastprep.store.manifest import MANIFEST
from fastprep.store.reader import TokenStore
from fastprep.system.arguments import local_path
from fastprep.system.host import is_own

#: A directory or URL below which inputs may be read, or several.
SourceNames: TypeAlias = str | PathLike[str] | Iterable[str | PathLike[str]]

# Names of inputs in memory, in manifests that do not say so otherwise.
_OLD_IN_MEMORY = re.compile(r"<(table|stream) [0-9]+>")


class Sources:
    """The places that the inputs of a store may be read from.

    With `given`, inputs are read only below one of these directories or URLs, in which relative
    names are looked up as well. Without, all inputs of a store of this process's user are read; of
    another user's store only those that are named relative, in the current directory and below.

    Raises InvalidInput for a directory that does not exist.
    """

    def __init__(self, store: TokenStore, given: SourceNames | None) -> None:
        self._folders: list[str] = []
        self._urls: list[str] = []
        self._given = given is not None
        names = [given] if isinstance(given, (str, PathLike)) else given or []
        for name in names:
            if isinstance(name, str) and is_url(name):
                self._urls.append(f"{normal_url(name).rstrip('/')}/")
                continue
            folder = local_path(name, "a directory of sources")
            if not folder.is_dir():
                raise InvalidInput(
                    f"{folder}: there is no such directory of sources; check its name"
                )
            self._folders.append(os.path.realpath(folder))
        status = (store.path / MANIFEST).stat()
        self._is_own = is_own(status)

    def find(self, span: Span, form: Format) -> Span:
        """Return the range of the file that a recorded one, of a store of that format, is read from.

        Raises InvalidInput if it may not be read, or cannot be read again.
        """
        if span.in_memory or _OLD_IN_MEMORY.fullmatch(span.path):
            raise InvalidInput(
                f"{span.path}: it was in the memory of the process that made the store, so there is "
                "nothing to compare with; verify without against (--against)"
            )
        if form.kind(span.path) is None:
            raise InvalidInput(
                f"{span.path}: the store was imported from these ids and does not record the text that "
                "they were made from, so there is nothing to compare with; verify without against "
                "(--against)"
            )
        path = from_file_url(span.path)
        path = self._url(normal_url(path)) if is_url(path) else self._file(path)
        if not (is_url(path) or Path(path).exists()):
            hint = ", or run in the directory it was named from"
            if self._given:
                hint = " below one of the sources"
            elif Path(path).is_absolute():
                hint = ""
            raise InvalidInput(
                f"{span.path}: no such file, although the store was made from it; restore it{hint}"
            )
        if whole(path, form).size != span.size:
            raise InvalidInput(
                f"{span.path}: its size is no longer {span.size}, as it was when the store was "
                "made; restore that file to compare with it"
            )
        return Span(path, span.start, span.end, span.size)

    def _url(self, url: str) -> str:
        permitted = self._is_own
        if self._given:
            permitted = ".." not in url.split("/") and f"{url}/".startswith(tuple(self._urls))
        if not permitted:
            raise self._not_permitted(url)
        return url

    def _file(self, path: str) -> str:
        if not self._given:
            if not self._is_own and (Path(path).is_absolute() or not _is_below(path, [Path.cwd()])):
                raise self._not_permitted(path)
            return path
        places = [str(Path(folder) / path) for folder in self._folders]
        permitted = [each for each in (*places, path) if _is_below(each, self._folders)]
        for each in permitted:
            if Path(each).exists():
                return each
        if path not in permitted and (not permitted or Path(path).exists()):
            raise self._not_permitted(path)
        return permitted[0]

    def _not_permitted(self, path: str) -> InvalidInput:
        if self._given:
            return InvalidInput(
                f"{path}: the store names this input, and it is not below the sources that may be read; "
                "pass its directory or address as another of them (--sources)"
            )
        return InvalidInput(
            f"{path}: the store names this input, but another user made the store, so it is not read; "
            "if it should be, pass its directory or address as sources (--sources)"
        )


def _is_below(path: str, folders: Iterable[str | Path]) -> bool:
    """Return whether a file, after all links are followed, is in one of some directories or below."""
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(os.path.realpath(folder)) for folder in folders)
