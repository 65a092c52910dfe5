"""Replacement of a store by another one: at every moment one of them is whole at its place.

The new store is made in the directory ``replacement`` of the old one, by an ordinary job. Then

1. the manifest is replaced by that of the new store, which says that the other files are still in
   ``replacement``: from here on the new store is the store;
2. these files get a second name at the place of the store, and the old files are removed;
3. the manifest is replaced once more, by one that does not mention ``replacement``, which is removed.

Each step can be repeated, so an interrupted replacement is completed by the next run.
"""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import structs

from fastprep.jobs.journal import JOB
from fastprep.jobs.output import find_manifests, remove_directory
from fastprep.store import manifest as manifests
from fastprep.store.index import open_manifest
from fastprep.store.manifest import MANIFEST, REPLACEMENT
from fastprep.system.atomic import link_or_copy, remove, replacing, sync_directory


def replace_store(output: Path) -> None:
    """Replace the store in a directory by the whole one in its directory ``replacement``."""
    _announce(_pairs(output))
    complete_replacement(output)


def is_interrupted(output: Path) -> bool:
    """Return whether the next run has to complete a replacement, or remove what is left of one."""
    inner = output / REPLACEMENT
    if not inner.is_dir() or (inner / JOB).exists() or not find_manifests(output):
        return False
    pairs = _pairs(output)
    return _is_announced(pairs) or all(map(_is_final, pairs))


def complete_replacement(output: Path) -> None:
    """Complete an interrupted replacement; do nothing if it has not reached its first step.

    The caller is alone in the directory.
    """
    if not is_interrupted(output):
        return
    pairs = _pairs(output)
    if _is_announced(pairs):
        _announce(pairs)  # the other part
        _move(output, pairs)
    remove_directory(output / REPLACEMENT)
    sync_directory(output)


def _pairs(output: Path) -> list[tuple[Path, Path]]:
    """Return the directories of the new stores and of their places; that of ``train`` last."""
    inner = output / REPLACEMENT
    found = [path.parent for path in find_manifests(inner)]
    return [(source, output / source.relative_to(inner)) for source in reversed(found)]


def _is_final(pair: tuple[Path, Path]) -> bool:
    """Return whether a new store is at its place."""
    source, target = (directory / MANIFEST for directory in pair)
    return target.exists() and target.read_bytes() == source.read_bytes()


def _is_announced(pairs: list[tuple[Path, Path]]) -> bool:
    """Return whether the manifest of one of the places says that its files are elsewhere."""
    return any(
        (target / MANIFEST).exists() and open_manifest(target).manifest.files for _, target in pairs
    )


def _announce(pairs: list[tuple[Path, Path]]) -> None:
    for source, target in pairs:
        if not _is_final((source, target)):
            target.mkdir(exist_ok=True)
            _write(target, source, os.path.relpath(source, target))


def _write(target: Path, source: Path, files: str | None = None) -> None:
    manifest = manifests.load(source)
    if files is not None:
        manifest = structs.replace(manifest, files=files)
    with replacing(target / MANIFEST) as file:
        file.writelines(manifests.chunks(manifest))


def _move(output: Path, pairs: list[tuple[Path, Path]]) -> None:
    targets = [target for _, target in pairs]
    # A job that appends to the old store, and the old store if its parts are in other directories.
    old = [path for path in find_manifests(output) if path.parent not in targets]
    for path in [output / JOB, *old]:
        remove(path)
        sync_directory(path.parent)
    left = [pair for pair in pairs if not _is_final(pair)]
    for source, target in left:
        names = [entry.name for entry in source.iterdir() if _is_content(entry)]
        for name in sorted(names):
            link_or_copy(source / name, target / name)
        _keep_only(target, [*names, MANIFEST])
    for directory in [output, *manifests.part_directories(output)]:
        if directory not in targets and directory.is_dir():
            _keep_only(directory, [])
            if directory != output:
                directory.rmdir()
    for source, target in left:
        _write(target, source)


def _is_content(entry: Path) -> bool:
    return entry.is_file() and entry.name != MANIFEST and entry.suffix not in (".lock", ".tmp")


def _keep_only(directory: Path, names: list[str]) -> None:
    """Remove the files of a directory that have other names, except locks."""
    for entry in sorted(directory.iterdir()):
        if entry.name not in names and not entry.is_dir() and entry.suffix != ".lock":
            remove(entry)
    sync_directory(directory)
