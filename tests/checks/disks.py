"""Failing disks: listeners for the steps that fastprep.system.atomic announces."""

from __future__ import annotations

import errno
import os
import random
import signal
from pathlib import Path


class Counting:
    """A counter of steps."""

    def __init__(self) -> None:
        self.steps = 0

    def __call__(self, step: str, path: Path) -> None:
        self.steps += 1


class Killing:
    """A kill -9 before a step; the system keeps what was written before it."""

    def __init__(self, at: int) -> None:
        self._left = at

    def __call__(self, step: str, path: Path) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


class Failing:
    """A system error at a step, and if `permanent` at all steps after it."""

    def __init__(self, at: int, number: int = errno.ENOSPC, *, permanent: bool = False) -> None:
        self._left = at
        self._number = number
        self._permanent = permanent

    def __call__(self, step: str, path: Path) -> None:
        self._left -= 1
        # Files can be removed from a full disk, but not from a broken one.
        if step == "remove" and self._number == errno.ENOSPC:
            return
        if self._left == -1 or (self._permanent and self._left < 0):
            raise OSError(self._number, os.strerror(self._number), str(path))


class PowerCut:
    """A power cut before a step: anything that was not synced may be lost, independently.

    Content that was not synced is truncated at random, or ends in zeros. Each name that was created,
    replaced or removed since its directory was synced may be as it was before.
    """

    def __init__(self, at: int, rng: random.Random) -> None:
        self._left = at
        self._rng = rng
        self._unsynced: set[Path] = set()
        # Names in a directory, and their content before; None if there was no such file. Names that
        # change together are one item.
        self._names: list[dict[Path, bytes | None]] = []
        self._last: tuple[str, Path] | None = None

    def __call__(self, step: str, path: Path) -> None:
        self._finish_last()
        if self._left == 0:
            self._lose()
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1
        self._last = (step, path)
        if step in ("open", "remove", "rename", "link", "move", "move to"):
            before = path.read_bytes() if path.is_file() else None
            if step == "move to":
                self._names[-1][path] = before
            else:
                self._names.append({path: before})
            if step == "rename":
                temporary = path.with_name(path.name + ".tmp")
                self._names.append({temporary: temporary.read_bytes()})

    def _finish_last(self) -> None:
        """Record the effect of the step before this one, which is done by now."""
        if self._last is None:
            return
        step, path = self._last
        if step == "write":
            self._unsynced.add(path)
        elif step == "sync":
            self._unsynced.discard(path)
        elif step == "rename":
            temporary = path.with_name(path.name + ".tmp")
            if temporary in self._unsynced:
                self._unsynced.remove(temporary)
                self._unsynced.add(path)
        elif step == "sync names":
            self._names = [names for names in self._names if next(iter(names)).parent != path]

    def _lose(self) -> None:
        for path in self._unsynced:
            if path.is_file():
                content = path.read_bytes()
                kept = self._rng.randrange(len(content) + 1)
                zeros = self._rng.random() < 0.5
                path.write_bytes(content[:kept] + bytes(len(content) - kept if zeros else 0))
        later: set[Path] = set()
        for names in reversed(self._names):
            if later.isdisjoint(names) and self._rng.random() < 0.5:
                for path, before in names.items():
                    if before is None:
                        path.unlink(missing_ok=True)
                    elif path.parent.is_dir():
                        path.write_bytes(before)
            later.update(names)
