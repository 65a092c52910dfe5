"""The output directory of a job: check its content, find its stores, remove what is left over."""

from __future__ import annotations

import contextlib
from pathlib import Path

from fastprep.errors import InvalidStore, StoreExists
from fastprep.jobs.journal import JOB
from fastprep.store import manifest as manifests
from fastprep.system.atomic import remove, sync_directory


def check_output(output: Path) -> None:
    """Raise StoreExists if a directory has files that do not belong to a store or a job."""
    if output.exists() and not output.is_dir():
        raise StoreExists(f"{output}: a file of that name is in the way; choose another output")
    if not output.exists():
        return
    parts = {path.name for path in manifests.part_directories(output)}
    foreign = []
    for entry in sorted(output.iterdir()):
        if entry.is_dir() and entry.name in parts:
            foreign += [f"{entry.name}/{name}" for name in _foreign_files(entry)]
        elif entry.is_dir() or not manifests.is_ours(entry.name):
            foreign.append(entry.name)
    if foreign:
        raise StoreExists(
            f"{output}: holds files that are not a token store's ({', '.join(foreign[:3])}"
            f"{', ...' if len(foreign) > 3 else ''}); choose an empty or a new directory"
        )


def _foreign_files(part: Path) -> list[str]:
    """Return the names in a part's directory that are not a part's, as those of a whole store."""
    names = [
        entry.name
        for entry in part.iterdir()
        if entry.is_dir() or not manifests.is_ours(entry.name)
    ]
    # A damaged store may be replaced.
    with contextlib.suppress(InvalidStore):
        if (part / manifests.MANIFEST).exists() and manifests.load(part).part is None:
            names.append(manifests.MANIFEST)
    return sorted(names)


def find_manifests(output: Path) -> list[Path]:
    """Return the manifests in an output directory: its own, or those of its parts."""
    directories = [output, *manifests.part_directories(output)]
    return [path for each in directories if (path := each / manifests.MANIFEST).exists()]


def clear(output: Path) -> None:
    """Remove stores, finished or not, and all files of a job except its locks."""
    # Manifests first, so that a run that ends here leaves nothing that opens as a whole store; then
    # the job, before its shards, so that it leaves nothing to resume from.
    for path in [*find_manifests(output), output / JOB]:
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


def remove_journal(output: Path) -> None:
    """Remove the files that only an unfinished job needs, after its manifests are written."""
    for directory in [*manifests.part_directories(output), output]:
        if directory.is_dir():
            for entry in sorted(directory.iterdir()):
                if entry.suffix in (".done", ".draft", ".index", ".ordered", ".tmp"):
                    remove(entry)
            sync_directory(directory)
    # Last, because as long as the job is there, the same command resumes this removal.
    remove(output / JOB)
    sync_directory(output)
    remove_locks(output)


def remove_locks(output: Path) -> None:
    """Remove the lock files when nothing is left to do; one that stays does no harm."""
    with contextlib.suppress(OSError):
        for entry in sorted(output.iterdir()):
            if entry.suffix == ".lock":
                remove(entry)
