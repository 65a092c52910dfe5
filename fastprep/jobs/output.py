"""The output directory of a job as a whole: whose it is, what stands in it, and how it is cleared."""

from __future__ import annotations

import contextlib
from pathlib import Path

from fastprep.errors import InvalidStore, StoreExists
from fastprep.jobs.journal import JOB
from fastprep.store import manifest as manifests
from fastprep.system.atomic import remove, sync_directory


def check_ours(output: Path) -> None:
    """Refuse a directory with files in it that no store and no job has.

    Raises
    ------
    StoreExists
        naming them.
    """
    if output.exists() and not output.is_dir():
        raise StoreExists(f"{output}: a file of that name is in the way; choose another output")
    if not output.exists():
        return
    parts = {path.name for path in manifests.part_directories(output)}
    foreign = []
    for entry in sorted(output.iterdir()):
        if entry.is_dir() and entry.name in parts:
            foreign += [f"{entry.name}/{name}" for name in _foreign(entry)]
        elif entry.is_dir() or not manifests.is_ours(entry.name):
            foreign.append(entry.name)
    if foreign:
        raise StoreExists(
            f"{output}: holds files that are no token store's ({', '.join(foreign[:3])}"
            f"{', ...' if len(foreign) > 3 else ''}); choose an empty or a new directory"
        )


def _foreign(part: Path) -> list[str]:
    """The names in a part's directory that are not a part's: a whole store that is no part is one."""
    names = [
        entry.name
        for entry in part.iterdir()
        if entry.is_dir() or not manifests.is_ours(entry.name)
    ]
    # A damaged one is nobody's treasure.
    with contextlib.suppress(InvalidStore):
        if (part / manifests.MANIFEST).exists() and manifests.load(part).part is None:
            names.append(manifests.MANIFEST)
    return sorted(names)


def stores_in(output: Path) -> list[Path]:
    """The manifests in an output directory: its own, or those of its parts."""
    directories = [output, *manifests.part_directories(output)]
    return [path for each in directories if (path := each / manifests.MANIFEST).exists()]


def clear(output: Path) -> None:
    """Remove stores, finished and unfinished ones, and all that belongs to a job but its locks."""
    # The manifests go first: whatever happens then, no one takes the rest for a whole store. And the
    # job goes before its shards: no one takes it for one that only needs to go on.
    for path in [*stores_in(output), output / JOB]:
        remove(path)
        sync_directory(path.parent)
    for directory in [*manifests.part_directories(output), output]:
        if directory.is_dir():
            for entry in sorted(directory.iterdir()):
                if not entry.is_dir() and entry.suffix != ".lock":
                    remove(entry)
            sync_directory(directory)
    for directory in manifests.part_directories(output):
        with contextlib.suppress(OSError):
            directory.rmdir()


def tidy(output: Path) -> None:
    """Remove what only an unfinished job needs, once its manifests stand."""
    for directory in [*manifests.part_directories(output), output]:
        if directory.is_dir():
            for entry in sorted(directory.iterdir()):
                if entry.suffix in (".done", ".tmp"):
                    remove(entry)
            sync_directory(directory)
    # As long as the job is there, the same command goes on with this.
    remove(output / JOB)
    sync_directory(output)
    unlock(output)


def unlock(output: Path) -> None:
    """Remove the lock files, when there is nothing left to do; a lock that stays does no harm."""
    with contextlib.suppress(OSError):
        for entry in sorted(output.iterdir()):
            if entry.suffix == ".lock":
                remove(entry)
