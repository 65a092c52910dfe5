"""Outputs at URLs: the store is made in a directory of this machine, and then uploaded.

The directory is in the cache (``$FASTPREP_CACHE``), under a hash of the URL, and an ordinary job makes
the store in it. So the same call resumes it. Where there is no store at the URL yet, a thread uploads
finished shards while others are made. When the store is whole,

1. a manifest of another store at the URL is removed;
2. the files of all shards are uploaded, except those that are uploaded already;
3. the manifest is uploaded, that of the part ``train`` last;
4. other files of the old store are removed, the local files become the cache of the store at the URL,
   and the directory is removed.

So a reader sees no store or a whole one at any time. The content of each file is compared with the
manifest when it is read, so a reader that still has the manifest of an old store gets an error, and no
ids of the new one. Each step can be repeated.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import UNSET

from fastprep.corpus.remote import normal_url
from fastprep.corpus.remote_directory import RemoteDirectory
from fastprep.errors import (
    FastprepError,
    InvalidArgument,
    InvalidInput,
    InvalidStore,
    OtherJob,
    StoreExists,
)
from fastprep.jobs.calls import call_on_threads
from fastprep.jobs.events import Event, Log, send
from fastprep.jobs.job import Job, input_differences, job_of
from fastprep.jobs.journal import Journal
from fastprep.jobs.output import find_manifests, remove_directory
from fastprep.jobs.progress import say_reused
from fastprep.jobs.reuse import changed_since, settings_differ
from fastprep.store import manifest as manifests
from fastprep.store.manifest import HOW_TO_FIX, MANIFEST, FileKind, Manifest, ShardRecord
from fastprep.store.reader import TokenStore
from fastprep.store.remote import fill_cache
from fastprep.system.atomic import remove, replacing, sync_directory
from fastprep.system.caches import cache_root
from fastprep.system.locking import holding
from fastprep.system.threads import Crew, StopFlag, Stopped

if TYPE_CHECKING:
    from fastprep.jobs.run import Engine, Run

# A file of unfinished work, which does no harm in a store.
_PROBE = "run.lock"
# Files that are uploaded at a time, and requests for their details. A file takes memory: of s3fs 100 MB.
_REQUESTS = 4
_SECONDS_BEFORE_WAITING = 1.0
# Seconds that an interrupted job waits for the upload of a file.
_STOP_TIMEOUT = 0.4


def work_directory(url: str) -> Path:
    """Return the directory in which the store for a URL is made.

    >>> work_directory("s3://bucket/store").relative_to(cache_root()).parts[::2]
    ('outputs', 'store')
    """
    name = hashlib.sha256(_normal(url).encode()).hexdigest()[:32]
    return cache_root() / "outputs" / name / "store"


def check_url(url: str, engine: Engine, task: tuple[int, int] | None, append: bool) -> None:
    """Raise InvalidArgument if a call cannot have its output at a URL."""
    scheme, _, path = _normal(url).partition("://")
    if not path:
        raise InvalidArgument(f"{url}: names no directory; write one, as in s3://bucket/store")
    if scheme in ("http", "https") or "::" in scheme:
        raise InvalidArgument(
            f"{url}: the output must be on this machine, or at the URL of a storage that can be written "
            "and listed, such as s3:// or gs://"
        )
    if task is not None or engine == "ray":
        what = "a task" if task is not None else "the engine 'ray'"
        raise InvalidArgument(
            f"{url}: {what} needs an output that all machines share, and a store for a URL is made in a "
            "directory of one machine; choose a shared directory, and copy the store when it is whole, "
            f"or omit {what}"
        )
    if append:
        raise InvalidArgument(
            f"{url}: a store at a URL cannot be appended to; append to a copy on this machine, or make "
            "the store of all inputs with overwrite=True (--overwrite)"
        )


class _File(NamedTuple):
    """A file to upload: its name below the output, and a checksum of its content."""

    name: str
    checksum: str


class _Sender(NamedTuple):
    """Uploads files of the work directory, and records which are uploaded."""

    remote: RemoteDirectory
    directory: Path

    def upload(self, file: _File, stop: StopFlag) -> None:
        """Upload a file."""
        record = _record(self.directory, file)
        record.parent.mkdir(exist_ok=True)
        self.remote.upload(file.name, self.directory / file.name, stop)
        found = [file.checksum, self.remote.identity(file.name)]
        with replacing(record, sync=False) as target:
            target.write(msgspec.json.encode(found))

    def is_uploaded(self, file: _File) -> bool:
        """Return whether a file is at the URL as this job has uploaded it."""
        try:
            record = msgspec.json.decode(_record(self.directory, file).read_bytes())
        except (FileNotFoundError, msgspec.DecodeError):
            return False
        return bool(record == [file.checksum, self.remote.identity(file.name)])


class _EarlyUploads:
    """A thread that uploads finished shards while others are made.

    It ends at the first error: what is not uploaded is uploaded after the job, where an error is raised.
    """

    def __init__(self, run: Run, sender: _Sender) -> None:
        self._journal = Journal(sender.directory)
        self._parts = _parts(run.work.job)
        self._sender = sender
        self._stop = StopFlag()
        self._shards: SimpleQueue[int | None] = SimpleQueue()
        self._crew = Crew(self._work)
        self._crew.start(1)

    def add(self, index: int) -> None:
        """Add a finished shard."""
        self._shards.put(index)

    def __enter__(self) -> _EarlyUploads:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop after the file that is being uploaded; an interrupt does not wait for a long one."""
        self._stop.set()
        self._shards.put(None)
        may_wait = kind is None or issubclass(kind, Exception)
        self._crew.close(-1 if may_wait else _STOP_TIMEOUT)

    def _work(self) -> None:
        with contextlib.suppress(FastprepError, OSError, Stopped):
            while (index := self._shards.get()) is not None:
                done = self._journal.read_done(index)
                if done is None:
                    continue
                for part, shard in zip(self._parts, done.records, strict=True):
                    for file in _shard(part, index, shard):
                        self._stop.check()
                        self._sender.upload(file, self._stop)


class Upload(NamedTuple):
    """A run whose store is uploaded to a URL."""

    url: str
    run: Run  # in the work directory

    def execute(self, *, overwrite: bool, progress: bool | None, log: Log | None) -> TokenStore:
        """Make the store and upload it, or resume this; see :func:`fastprep.prepare`."""
        directory = self.run.work.output
        lock = directory.parent.with_suffix(".lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        said: list[bool] = []

        def waiting(seconds: float) -> None:
            if seconds >= _SECONDS_BEFORE_WAITING and not said:
                said.append(True)
                send(log, "waiting", output=self.url)
                if log is None and progress is not False and sys.stderr is not None:
                    print(
                        f"fastprep: {self.url}: another run works here, in {directory}; waiting until "
                        "it ends (Ctrl-C to stop waiting)",
                        file=sys.stderr,
                        flush=True,
                    )

        with holding(lock, "", waiting=waiting):
            return self._execute(overwrite, progress, log)

    def _execute(self, overwrite: bool, progress: bool | None, log: Log | None) -> TokenStore:
        directory = self.run.work.output
        remote = RemoteDirectory(_normal(self.url))
        listed = _checked_names(remote)
        found = {
            part: content
            for part in ("", "train/", "validation/")
            if f"{part}{MANIFEST}" in listed
            and (content := remote.read(f"{part}{MANIFEST}", manifests.MAX_MANIFEST_BYTES))
            is not None
        }
        if found and not overwrite and self._is_same(remote, found, listed):
            if _local_manifests(directory) == found:  # interrupted in the last step
                self._keep(found)
            return self._reused(progress, log)
        remote.write(_PROBE, b"")  # fails before the work if nothing can be written there
        sender = _Sender(remote, directory)
        last: list[Event] = []
        with contextlib.ExitStack() as stack:
            early = None
            if not found and not find_manifests(directory) and not self.run.work.job.has_drafts:
                early = stack.enter_context(_EarlyUploads(self.run, sender))
            self._prepare_here(overwrite, progress, _forwarded(log, self, last, early))
        made = _local_manifests(directory)
        try:
            self._send(sender, found, made, listed, overwrite, log)
        except InvalidInput as error:
            raise InvalidInput(
                f"{error}; the store is whole in {directory}, and the same call or command uploads the "
                "rest"
            ) from error
        self._keep(made)
        if log is not None:
            for event in last:
                log({**event, "time": round(time.time(), 3)})
        return self._store()

    def _is_same(self, remote: RemoteDirectory, found: dict[str, bytes], listed: set[str]) -> bool:
        """Return whether the store at the URL is what the job would make, with both parts if it has any.

        Raises StoreExists for another store, and InvalidStore if a file of it is missing.
        """
        job = self.run.work.job
        part, content = next(iter(found.items()))
        manifest = manifests.decode(content, f"{self.url}/{part}{MANIFEST}")
        wrong = settings_differ(manifest, job, any_shard_bytes=self.run.any_shard_bytes)
        wrong += input_differences(job_of(manifest), job)
        if not wrong:
            written = remote.modified(f"{part}{MANIFEST}")
            wrong = changed_since(manifest, {entry.path for entry in job.inputs}, written)
        if wrong:
            more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            raise StoreExists(
                f"{self.url}: a token store already, of another job: {'; '.join(wrong[:5])}{more}; "
                "pass overwrite=True (--overwrite) to replace it, or choose another output"
            )
        for part, content in found.items():
            manifest = manifests.decode(content, f"{self.url}/{part}{MANIFEST}")
            if missing := {file.name for file in _files(part, manifest)} - listed:
                raise InvalidStore(
                    f"{self.url}/{min(missing)}: missing, though the manifest lists it; {HOW_TO_FIX}"
                )
        return set(found) == set(self._parts())

    def _parts(self) -> tuple[str, ...]:
        return _parts(self.run.work.job)

    def _prepare_here(self, overwrite: bool, progress: bool | None, log: Log | None) -> None:
        """Make the store in the work directory; one that is there and is the same is kept."""
        directory = self.run.work.output
        try:
            self.run.run(overwrite=False, append=False, progress=progress, log=log)
        except (StoreExists, OtherJob) as error:
            if not overwrite:
                place = f"{self.url}: its work directory {directory}"
                message = str(error).replace(f"{directory}", place, 1)
                # What is not at the URL yet cannot be appended to.
                message = message.replace("append=True (--append) to add to it, ", "")
                raise type(error)(message) from None
            self.run.run(overwrite=True, append=False, progress=progress, log=log)

    def _send(
        self,
        sender: _Sender,
        found: dict[str, bytes],
        made: dict[str, bytes],
        listed: set[str],
        overwrite: bool,
        log: Log | None,
    ) -> None:
        """Upload a whole store; `found` and `made` are the manifests at the URL and here."""
        remote, directory = sender.remote, sender.directory
        # To overwrite the same store repairs it.
        kept = {part for part in made if not overwrite and found.get(part) == made[part]}
        for part in found.keys() - kept:
            remote.remove(part + MANIFEST)
        parts = [part for part in self._parts() if part not in kept]
        names, files = {part + MANIFEST for part in made}, []
        for part in self._parts():
            manifest = manifests.decode(made[part], directory / part / MANIFEST)
            of_part = [*_files(part, manifest)]
            names |= {file.name for file in of_part}
            files += of_part if part in parts else []

        def is_uploaded(number: int, stop: StopFlag) -> bool:
            return sender.is_uploaded(files[number])

        done = dict(call_on_threads(is_uploaded, range(len(files)), _REQUESTS, lambda: None))
        todo = [file for number, file in enumerate(files) if not done[number]]
        send(
            log,
            "uploading",
            output=self.url,
            directory=str(directory),
            files=len(todo),
            files_finished=len(files) - len(todo),
            bytes=sum((directory / file.name).stat().st_size for file in todo),
        )

        def upload(number: int, stop: StopFlag) -> None:
            sender.upload(todo[number], stop)

        calls = call_on_threads(upload, range(len(todo)), _REQUESTS, lambda: None)
        with contextlib.closing(calls):
            for _ in calls:
                pass
        # In reverse, so that the store that is returned comes last.
        for part in reversed(parts):
            remote.write(part + MANIFEST, made[part])
        for name in sorted((listed | {_PROBE}) - names):
            remote.remove(name)

    def _keep(self, made: dict[str, bytes]) -> None:
        """Make the local files the cache of the store at the URL, and remove the work directory."""
        directory = self.run.work.output
        for part in made:
            fill_cache(f"{_normal(self.url)}/{part}", directory / part)
        done = directory.parent / "uploaded"
        if done.is_dir():
            for entry in sorted(done.iterdir()):
                remove(entry)
            done.rmdir()
        remove_directory(directory)
        with contextlib.suppress(OSError):
            directory.parent.rmdir()
            sync_directory(directory.parent.parent)

    def _store(self) -> TokenStore:
        return TokenStore(f"{_normal(self.url)}/{self._parts()[0]}".rstrip("/"))

    def _reused(self, progress: bool | None, log: Log | None) -> TokenStore:
        store = self._store()
        say_reused(self.url, progress, log)
        send(
            log,
            "reused",
            output=self.url,
            documents=store.num_documents,
            tokens=store.num_tokens,
        )
        return store


def _normal(url: str) -> str:
    return normal_url(url).rstrip("/")


def _parts(job: Job) -> tuple[str, ...]:
    """Return the directories of the stores of a job, below its output."""
    return ("train/", "validation/") if job.has_parts else ("",)


def _forwarded(
    log: Log | None, upload: Upload, last: list[Event], early: _EarlyUploads | None
) -> Log:
    """Return the log of the local job, whose last event is kept until the store is uploaded."""

    def forward(event: Event) -> None:
        if event["event"] == "task done" and early is not None:
            early.add(int(str(event["shard"])))
        if log is None or event["event"] == "reused":
            return
        if event["event"] == "finished":
            last.append(event)
            return
        if "output" in event:
            directory = str(upload.run.work.output)
            event = {**event, "output": upload.url, "directory": directory}
        log(event)

    return forward


def _checked_names(remote: RemoteDirectory) -> set[str]:
    """Return the names of the files of a store at a URL, with those of its parts.

    Raises StoreExists if there are other files.
    """
    found = set(remote.names())
    for part in ("train/", "validation/"):
        if part in found:
            found.remove(part)
            found |= {part + name for name in remote.names(part.rstrip("/"))}
    foreign = sorted(
        name
        for name in found
        if name.endswith("/") or not manifests.is_ours(name.rpartition("/")[2])
    )
    if foreign == [""]:
        raise StoreExists(f"{remote.url}: a file of that name is in the way; choose another output")
    if foreign:
        raise StoreExists(
            f"{remote.url}: holds files that are not a token store's ({', '.join(foreign[:3])}"
            f"{', ...' if len(foreign) > 3 else ''}); choose an empty or a new directory"
        )
    return found


def _local_manifests(directory: Path) -> dict[str, bytes]:
    """Return the manifests in the work directory by the part that they are of."""
    found = {}
    for path in find_manifests(directory):
        part = "" if path.parent == directory else f"{path.parent.name}/"
        found[part] = path.read_bytes()
    return found


def _files(part: str, manifest: Manifest) -> Iterator[_File]:
    """Yield the files of a store, without the manifest."""
    if manifest.encoding.kind == "words":
        yield _File(f"{part}vocabulary.json", manifest.encoding.rank_table_sha256)
    if manifest.vocabulary:
        yield _File(f"{part}{manifest.vocabulary.file}", manifest.vocabulary.sha256)
    if manifest.index:
        yield _File(f"{part}{manifest.index.file}", manifest.index.sha256)
    for index, shard in enumerate(manifest.shards):
        yield from _shard(part, index, shard)


def _shard(part: str, index: int, shard: ShardRecord) -> Iterator[_File]:
    """Yield the files of a shard."""
    kinds: list[FileKind] = (
        ["bin", "ends"] if shard.mask_crc32 is UNSET else ["bin", "ends", "mask"]
    )
    for kind in kinds:
        yield _File(f"{part}shard-{index:05d}.{kind}", str(shard.checksums(kind)))


def _record(directory: Path, file: _File) -> Path:
    """Return the path of the record of an upload, beside the work directory."""
    return directory.with_name("uploaded") / file.name.replace("/", "-")
