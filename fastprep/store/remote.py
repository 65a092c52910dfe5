"""Stores at URLs: files are copied to a cache on this machine when they are first used.

The cache of a store is a directory whose name is a hash of its URL and of its manifest, so a store
that is replaced at its URL has another one. A file appears in it whole, and only after its
checksums were found to be those of the manifest; processes that need the same file wait for the one
that copies it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from fastprep.corpus.remote import open_url
from fastprep.errors import InvalidInput, InvalidStore
from fastprep.store import manifest as manifests
from fastprep.store.manifest import BlockChecksum, ShardRecord, VocabularyRecord
from fastprep.system.atomic import link_or_copy, replacing
from fastprep.system.caches import cache_root
from fastprep.system.locking import holding

_CHUNK_BYTES = 1 << 20
# Seconds to wait for another process that copies the same file.
_LOCK_TIMEOUT = 3600.0


def fill_cache(url: str, directory: Path) -> None:
    """Put the files of a store in a directory, from which the one at a URL was copied, into its cache.

    They are hard links where the file system has them.
    """
    content = (directory / manifests.MANIFEST).read_bytes()
    target = _directory(url.rstrip("/"), content)
    target.mkdir(parents=True, exist_ok=True)
    for entry in sorted(directory.iterdir()):
        is_content = (
            entry.suffix in (".bin", ".ends", ".mask", ".index")
            or entry.name in manifests.VOCABULARIES
        )
        if is_content and not (target / entry.name).exists():
            link_or_copy(entry, target / entry.name)
    with replacing(target / manifests.MANIFEST, sync=False) as file:
        file.write(content)


def _directory(url: str, manifest: bytes) -> Path:
    """Return the cache of the store at a URL that has this manifest."""
    name = hashlib.sha256(url.encode() + b"\0" + manifest).hexdigest()[:32]
    return cache_root() / "stores" / name


class RemoteFiles:
    """The files of a store at a URL, and their copies in the cache.

    Attributes
    ----------
    directory
        where the copies are; it has the manifest.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        address = f"{self._url}/{manifests.MANIFEST}"
        try:
            content = b"".join(_chunks(address, manifests.MAX_MANIFEST_BYTES))
        except InvalidInput as error:
            raise InvalidStore(f"{error}; a store has a {manifests.MANIFEST}") from error
        manifest = manifests.decode(content, address)
        self.directory: Path = _directory(self._url, content)
        self.directory.mkdir(parents=True, exist_ok=True)
        if not (self.directory / manifests.MANIFEST).exists():
            with (
                self._lock(manifests.MANIFEST),
                replacing(self.directory / manifests.MANIFEST, sync=False) as file,
            ):
                file.write(content)
        if manifest.encoding.kind == "words":
            self._copy("vocabulary.json", sha256=manifest.encoding.rank_table_sha256)
        if manifest.index:
            self._copy(manifest.index.file, sha256=manifest.index.sha256)

    def fetch_vocabulary(self, record: VocabularyRecord) -> None:
        """Copy the file of the vocabulary to the cache, if it is not there. Raises like `fetch`."""
        self._copy(record.file, sha256=record.sha256)

    def fetch(self, record: ShardRecord, index: int, kind: manifests.FileKind) -> None:
        """Copy one file of a shard to the cache, if it is not there.

        Raises InvalidStore if its checksums are not those of the manifest, and InvalidInput if it cannot
        be read.
        """
        name = manifests.shard_path(self.directory, index, kind).name
        self._copy(name, checksums=record.checksums(kind))

    def _copy(self, name: str, *, checksums: list[int] | None = None, sha256: str = "") -> None:
        target = self.directory / name
        if target.exists():
            return
        address = f"{self._url}/{name}"
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._lock(name):
            if target.exists():  # another process has copied it
                return
            with replacing(target, sync=False) as file:
                found, digest = BlockChecksum(), hashlib.sha256()
                for chunk in _chunks(address):
                    file.write(chunk)
                    if checksums is None:
                        digest.update(chunk)
                    else:
                        found.update(chunk)
                if checksums is not None and found.values() != checksums:
                    raise InvalidStore(f"{address}: its checksums are not those of the manifest")
                if checksums is None and digest.hexdigest() != sha256:
                    raise InvalidStore(f"{address}: its sha256 is not the one in the manifest")

    def _lock(self, name: str) -> AbstractContextManager[None]:
        path = self.directory / f"{name}.lock"
        return holding(path, f"{path}: another process copies this file", timeout=_LOCK_TIMEOUT)


def _chunks(url: str, most: int = 1 << 62) -> Iterator[bytes]:
    """Yield the bytes of a remote file; a dropped connection is retried from where it was.

    Raises InvalidInput for a file of more than `most` bytes, or one that cannot be read.
    """
    position = 0
    with open_url(url) as file:
        while chunk := file.read(_CHUNK_BYTES):
            position += len(chunk)
            if position > most:
                raise InvalidInput(f"{url}: over {most} bytes; no file of this kind is that long")
            yield chunk
