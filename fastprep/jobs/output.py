"""The output directory of a job: check its content, find its stores, remove what is left over."""

from __future__ import annotations

import contextlib
from pathlib import Path

from fastprep.errors import InvalidInput, InvalidStore, StoreExists
from fastprep.jobs.job import Job
from fastprep.jobs.journal import JOB
from fastprep.store import manifest as manifests
from fastprep.store.index import open_manifest, remove_others
from fastprep.store.manifest import REPLACEMENT
from fastprep.system.atomic import remove, sync_directory


def check_parent(output: Path) -> None:
    """Raise InvalidInput if more than one directory above an output is missing: its name may be wrong.

    Raise StoreExists if the output is a link to nothing, or the name above it is that of a file.

    >>> check_parent(tmp / "demo" / "store")
    >>> check_parent(tmp / "a" / "b" / "store")
    Traceback (most recent call last):
    fastprep.errors.InvalidInput: ...a/b/store: there is no directory .../a; create it, or check the name
    """
    if output.is_symlink() and not output.exists():
        raise StoreExists(
            f"{output}: a link to {output.readlink()}, which does not exist; make that directory, or "
            "choose another output"
        )
    found = next((above for above in output.parents if above.exists()), None)
    if found is not None and not found.is_dir():
        raise StoreExists(f"{output}: {found} is a file, not a directory; choose another output")
    missing = [above for above in output.parents if not above.exists()]
    if len(missing) > 1 or any(above.is_symlink() for above in missing):
        raise InvalidInput(
            f"{output}: there is no directory {missing[-1]}; create it, or check the name"
        )


def check_output(output: Path) -> None:
    """Raise StoreExists if a directory has files that do not belong to a store or a job.

    The directory itself may be a link; in it only the files of ids may be, which
    :func:`fastprep.import_tokens` can link.
    """
    if output.exists() and not output.is_dir():
        raise StoreExists(f"{output}: a file of that name is in the way; choose another output")
    if not output.exists():
        return
    foreign = _foreign_files(output)
    links = [name for name in foreign if (output / name).is_symlink()]
    if links:
        raise StoreExists(
            f"{output / links[0]}: a symbolic link, through which nothing is written; remove it, or "
            "choose another output"
        )
    if foreign:
        raise StoreExists(
            f"{output}: holds files that are not a token store's ({', '.join(foreign[:3])}"
            f"{', ...' if len(foreign) > 3 else ''}); choose an empty or a new directory"
        )


def _foreign_files(output: Path, prefix: str = "") -> list[str]:
    """Return the names in an output directory that are not those of a store or a job."""
    parts = {path.name for path in manifests.part_directories(output)}
    foreign = []
    for entry in sorted(output.iterdir()):
        name = prefix + entry.name
        if entry.is_symlink() and (
            entry.is_dir() or entry.suffix not in (".bin", ".ends", ".mask", ".idx")
        ):
            foreign.append(name)
        elif entry.is_dir() and entry.name in parts:
            foreign += [f"{name}/{each}" for each in _foreign_in_part(entry)]
        elif entry.is_dir() and entry.name == REPLACEMENT and not prefix:
            foreign += _foreign_files(entry, f"{REPLACEMENT}/")
        elif entry.is_dir() or not manifests.is_ours(entry.name):
            foreign.append(name)
    return foreign


def _foreign_in_part(part: Path) -> list[str]:
    """Return the names in a part's directory that are not a part's, as those of a whole store."""
    names = [
        entry.name
        for entry in part.iterdir()
        if entry.is_dir() or not manifests.is_ours(entry.name)
    ]
    # A damaged store may be replaced.
    with contextlib.suppress(InvalidStore):
        if (part / manifests.MANIFEST).exists() and open_manifest(part).manifest.part is None:
            names.append(manifests.MANIFEST)
    return sorted(names)


def find_manifests(output: Path) -> list[Path]:
    """Return the manifests in an output directory: its own, or those of its parts."""
    directories = [output, *manifests.part_directories(output)]
    return [path for each in directories if (path := each / manifests.MANIFEST).exists()]


def identities(output: Path) -> list[tuple[int, int]]:
    """Return what changes in an output directory whenever a store is finished there."""
    statuses = [path.stat() for path in find_manifests(output)]
    return [(status.st_ino, status.st_mtime_ns) for status in statuses]


def clear(output: Path) -> None:
    """Remove stores, finished or not, and all files of a job except its locks."""
    # Manifests first, so that a run that ends here leaves nothing that opens as a whole store; then
    # the job, before its shards, so that it leaves nothing to resume from.
    for path in [*find_manifests(output), output / JOB]:
        remove(path)
        sync_directory(path.parent)
    if (output / REPLACEMENT).is_dir():
        remove_directory(output / REPLACEMENT)
    for directory in [*manifests.part_directories(output), output]:
        if directory.is_dir():
            _remove_files(directory)
    for directory in manifests.part_directories(output):
        with contextlib.suppress(OSError):
            directory.rmdir()


def remove_directory(directory: Path) -> None:
    """Remove a directory of a store or a job, with its locks; keep it if it has other files."""
    clear(directory)
    remove_locks(directory)
    with contextlib.suppress(OSError):
        directory.rmdir()


def remove_work(output: Path, job: Job) -> None:
    """Remove all files of a job; a store that it appends to stays as it is."""
    if not job.first_shard:
        clear(output)
        return
    remove(output / JOB)
    sync_directory(output)
    for directory in dict.fromkeys([output, *job.directories(output)]):
        for entry in sorted(directory.iterdir()):
            number = entry.name.partition(".")[0].removeprefix("shard-")
            is_new = number.isdecimal() and int(number) >= job.first_shard
            if entry.suffix in (".done", ".tmp") or (is_new and entry.suffix != ".lock"):
                remove(entry)
        remove_others(directory)
        sync_directory(directory)


def remove_journal(output: Path) -> None:
    """Remove the files that only an unfinished job needs, after its manifests are written."""
    for directory in [*manifests.part_directories(output), output]:
        if directory.is_dir():
            for entry in sorted(directory.iterdir()):
                is_draft = entry.suffix == ".index" and entry.name.startswith("shard-")
                if is_draft or entry.suffix in (".done", ".draft", ".ordered", ".tmp"):
                    remove(entry)
            remove_others(directory)
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


def _remove_files(directory: Path) -> None:
    for entry in sorted(directory.iterdir()):
        if not entry.is_dir() and entry.suffix != ".lock":
            remove(entry)
    sync_directory(directory)
