"""Search of a folder or pattern on this machine: each file once, however many ways lead to it."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import stat
from array import array
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import repeat
from operator import attrgetter

from fastprep.corpus.documents import Span, is_unicode
from fastprep.corpus.formats import CONTENTS
from fastprep.corpus.passed_over import HIDDEN, NO_FILE, Tally, reason_of
from fastprep.corpus.sources import is_readable, whole
from fastprep.errors import InvalidInput
from fastprep_ext.corpus import Folder, known_paths

# Entries of a folder that are read in one call, so that an interrupt does not wait for all of them.
_ENTRIES = 4096
_NOT_ENTERED = "folders are entered by ** only"
_SAME_FILE = "the same file as one that is read"
_SAME_FOLDER = "the same folder as one that is read"
_NO_TARGET = "a link whose target does not exist"
_NO_PERMISSION = "no permission to read it"

# Files of stores, and of jobs that make them, are no inputs. They are not counted either: how many there
# are depends on how far a job is whose output is in a folder of its inputs.
_STORE_FILE = re.compile(r"shard-[0-9]{5,12}\.(bin|ends|idx|done|lock)(\.tmp)?|(job|run)\.lock")
_STORE_METADATA = re.compile(r"(job|manifest|vocabulary)\.json(\.tmp)?")


class Search:
    """The files that a folder or pattern leads to, which :attr:`spans` has, sorted by name.

    Links are followed after everything else was seen, so that a file has the name without a link if it
    has one. `wanted` says by its name whether a file is read. With `tolerant`, what cannot be read is
    passed over instead of an error. `passed` counts what was passed over.
    """

    def __init__(self, wanted: Callable[[str], bool], *, tolerant: bool, passed: Tally) -> None:
        self.spans: list[Span] = []
        self._wanted = wanted
        self._tolerant = tolerant
        self._passed = passed
        self._todo: list[tuple[str, tuple[str, ...]]] = []
        # By device, inode and the number of parts of the pattern that are left.
        self._folders: dict[tuple[int, int, int], str] = {}
        self._links: list[tuple[bool, str, tuple[str, ...]]] = []
        # Inodes by device: until a link is followed, no file comes twice. A set takes ten times as much.
        self._inodes: dict[int, array[int]] = {}
        self._seen: set[int] | None = None
        self._matchers: dict[str, Callable[[str], object]] = {}
        self._suffixes: set[str] = set()  # of files that are read
        self._sizes: dict[int, int] = {}

    def run(self, folder: str, parts: tuple[str, ...]) -> None:
        """Find the files below a folder whose path matches the parts of a pattern."""
        self._enter(folder, parts, os.stat(folder or "."))  # noqa: PTH116
        while self._todo or self._links:
            if self._todo:
                self._list(*self._todo.pop())
            else:
                if self._seen is None:
                    self._seen = self.keys()
                _, path, parts = heappop(self._links)
                self._follow(path, parts)
        self.spans.sort(key=attrgetter("path"))

    def keys(self) -> set[int]:
        """Return the :func:`key_of` each file."""
        if self._seen is not None:
            return self._seen
        return {device << 64 | inode for device, all_ in self._inodes.items() for inode in all_}

    def _enter(self, folder: str, parts: tuple[str, ...], status: os.stat_result) -> None:
        key = (status.st_dev, status.st_ino, len(parts))
        known = self._folders.setdefault(key, folder)
        if known is folder:
            self._todo.append((folder, parts))
        elif known != folder:
            self._passed.add(f"{folder}/", _SAME_FOLDER)

    def _list(self, folder: str, parts: tuple[str, ...]) -> None:
        """List a folder; links, and files with several names, are left for later."""
        prefix = "" if folder in ("", ".") else f"{folder.rstrip('/')}/"
        if parts[0] != "**" and not glob.has_magic(parts[0]):
            path = prefix + parts[0]
            if os.path.lexists(path):
                heappush(self._links, (False, path, parts))
            return
        deep, part, rest = _first(parts)
        fits = self._matcher(part)
        device = os.stat(folder or ".").st_dev  # noqa: PTH116
        try:
            entries = Folder(folder or ".", device)
        except OSError as error:
            self._fail(f"{folder}/", error)
            return
        while True:
            names, sizes, others, inodes = entries.read(_ENTRIES)
            if not names and not others:
                return
            if not rest:
                self._take_plain(prefix, part, names, sizes, device, inodes)
            for name in others:
                matches = part == "*" or fits(name) is not None
                if not deep and not matches:
                    continue
                path = prefix + name
                status = os.stat(path, follow_symlinks=False)  # noqa: PTH116
                if stat.S_ISLNK(status.st_mode):
                    heappush(self._links, (True, path, parts))
                elif stat.S_ISDIR(status.st_mode):
                    self._take(path, name, parts, status)
                elif matches and not rest:
                    if status.st_nlink > 1:
                        heappush(self._links, (False, path, parts))
                    else:
                        self._take_file(path, name, part, status)

    def _take_plain(
        self,
        prefix: str,
        part: str,
        names: list[str],
        sizes: list[int],
        device: int,
        inodes: memoryview[int],
    ) -> None:
        """Take the plain files of a folder, which only their names can exclude."""
        every, fits = part == "*", self._matcher(part)
        known = self._inodes.setdefault(device, array("Q"))
        spans = self.spans
        # One int per size: files of one size share it.
        sizes = [self._sizes.setdefault(size, size) for size in sizes]
        paths = known_paths(prefix, names, self._suffixes) if every and self._seen is None else None
        if paths is not None:
            known.frombytes(inodes.cast("B"))
            spans.extend(map(Span, paths, repeat(0), sizes, sizes))
            return
        for number, name in enumerate(names):
            if not (every or fits(name)):
                continue
            path = prefix + name
            dot = name.rfind(".")
            suffix = name[dot:]
            if suffix not in self._suffixes or dot == 0 or name[0] in "._":
                if self._is_excluded(path, name, part, is_file=True):
                    continue
                if dot > 0 and suffix in CONTENTS and suffix != ".json":
                    self._suffixes.add(suffix)
            if self._seen is not None or not (path.isascii() or is_unicode(path)):
                self._take_file(path, name, part, os.stat(path, follow_symlinks=False))  # noqa: PTH116
                continue
            size = sizes[number]
            known.append(inodes[number])
            spans.append(Span(path, 0, size, size))

    def _follow(self, path: str, parts: tuple[str, ...]) -> None:
        name = path[path.rfind("/") + 1 :]
        deep, part, rest = _first(parts)
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError as error:
            fits = self._matcher(part)(name) is not None
            is_file = not rest and fits and self._wanted(name)
            # Without a suffix it may have been a folder.
            is_folder = (deep or (rest and fits)) and "." not in name
            if _is_visible(name, part) and (is_file or is_folder):
                self._fail(path, error)
            elif not rest and fits:
                self._passed.add(path, reason_of(name) if _is_visible(name, part) else HIDDEN)
            return
        self._take(path, name, parts, status)

    def _take(self, path: str, name: str, parts: tuple[str, ...], status: os.stat_result) -> None:
        deep, part, rest = _first(parts)
        fits = self._matcher(part)(name) is not None
        if not stat.S_ISDIR(status.st_mode):
            if fits and not rest:
                self._take_file(path, name, part, status)
            return
        visible = fits and _is_visible(name, part)
        if visible and rest:
            self._enter(path, rest, status)
        if deep and name[0] not in "._":
            self._enter(path, parts, status)
        elif not (visible and rest) and (deep or fits):
            self._passed.add(f"{path}/", _NOT_ENTERED if visible else HIDDEN)

    def _take_file(self, path: str, name: str, part: str, status: os.stat_result) -> None:
        if self._is_excluded(path, name, part, is_file=stat.S_ISREG(status.st_mode)):
            return
        if self._seen is not None and key_of(status) in self._seen:
            self._passed.add(path, _SAME_FILE)
            return
        if not is_readable(path, status):
            self._fail(path, PermissionError())
            return
        if self._seen is not None:
            self._seen.add(key_of(status))
        elif (inodes := self._inodes.get(status.st_dev)) is not None:
            inodes.append(status.st_ino)
        else:
            self._inodes[status.st_dev] = array("Q", [status.st_ino])
        size = status.st_size
        known = path.isascii() or is_unicode(path)
        self.spans.append(Span(path, 0, size, size) if known else whole(path))

    def _is_excluded(self, path: str, name: str, part: str, *, is_file: bool) -> bool:
        """Return whether a file is not read because of its name or type; count it if so."""
        reason = None
        if name[0] in "._" and not _is_visible(name, part):
            reason = HIDDEN
        elif not self._wanted(name):
            reason = reason_of(name)
        elif not is_file:
            reason = NO_FILE
        if (reason is not None or name.endswith(".json")) and _is_of_a_store(path, name):
            return True
        if reason is not None:
            self._passed.add(path, reason)
        return reason is not None

    def _matcher(self, part: str) -> Callable[[str], object]:
        found = self._matchers.get(part)
        if found is None:
            found = self._matchers[part] = re.compile(fnmatch.translate(part)).match
        return found

    def _fail(self, path: str, error: OSError) -> None:
        """Raise InvalidInput for a file or folder that cannot be read, or pass it over if tolerant."""
        if isinstance(error, PermissionError):
            reason = _NO_PERMISSION
        elif isinstance(error, FileNotFoundError):
            reason = _NO_TARGET
        else:
            reason = error.strerror or str(error)
        if not self._tolerant:
            raise InvalidInput(
                f"{path}: {reason}; correct that, remove it from the inputs, or pass "
                "on_error='skip' (--on-error skip)"
            )
        self._passed.add(path, reason)


def key_of(status: os.stat_result) -> int:
    """Return one number for the device and inode of a file."""
    return status.st_dev << 64 | status.st_ino


def parts_of(pattern: str) -> tuple[str, tuple[str, ...]]:
    """Return the folder where the search for a pattern starts, and the parts that are left to match.

    >>> parts_of("in/a/*.jsonl"), parts_of("/data/**/**/x-[0-9].txt")
    (('in/a', ('*.jsonl',)), ('/data', ('**', 'x-[0-9].txt')))
    """
    parts = pattern.split("/")
    count = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    folder = "/".join(parts[:count]) or ("/" if pattern.startswith("/") else "")
    left: list[str] = []
    for part in parts[count:]:
        if not (part == "**" and left[-1:] == ["**"]):  # two in a row mean the same as one
            left.append(part)
    return folder, tuple(left)


def _first(parts: tuple[str, ...]) -> tuple[bool, str, tuple[str, ...]]:
    """Return whether folders of any depth come first, the part that names match, and those after it."""
    deep = parts[0] == "**"
    part, *rest = (parts[1:] or ("*",)) if deep else parts
    return deep, part, tuple(rest)


def _is_visible(name: str, part: str) -> bool:
    """Return whether a name is not hidden, or its mark is part of the pattern."""
    return name[0] not in "._" or part[0] == name[0]


def _is_of_a_store(path: str, name: str) -> bool:
    """Return whether a file belongs to a store, finished or not, in whose folder inputs may be."""
    if _STORE_FILE.fullmatch(name):
        return True
    if not _STORE_METADATA.fullmatch(name):
        return False
    folder = path[: -len(name)]
    return (
        any(os.path.exists(folder + known) for known in ("run.lock", "shard-00000.bin"))  # noqa: PTH110
        or os.path.exists(f"{folder}../run.lock")  # noqa: PTH110  # a part of a job, before its first shard
    )
