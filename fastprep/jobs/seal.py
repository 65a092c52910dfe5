"""Sealing: the manifests that make finished shards a store, or add them to one."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from msgspec import UNSET, structs

from fastprep.errors import InvalidInput, InvalidStore
from fastprep.jobs.calls import Tick
from fastprep.jobs.job import Base, Job
from fastprep.jobs.journal import Done, Journal
from fastprep.jobs.output import remove_journal, remove_locks, remove_work
from fastprep.jobs.parts import check_drawn
from fastprep.store import manifest as manifests
from fastprep.store.encodings import vocabulary_record
from fastprep.store.index import open_manifest, write_manifest
from fastprep.store.manifest import Appended, Manifest, PartRecord, ShardRecord
from fastprep.store.reader import TokenStore
from fastprep.system.atomic import sync_directory


def seal(
    output: Path,
    job: Job,
    shards: list[Done],
    workers: int | None = None,
    tick: Tick = lambda: None,
    log: Callable[..., object] = lambda event, **facts: None,
) -> TokenStore:
    """Write the manifest of each store of a job, remove its journal, and return the store.

    Where the job appends to a store, the new manifests replace the old ones.

    `output` is locked by the caller, and `shards` has all shards in order. If there are two stores,
    that of the part ``train`` is returned. The documents of a job with drafts are put in order first, by
    `workers` threads. Raises InvalidInput if no shard has a document, if a part has none, or if an input
    was changed between two shards.
    """
    _check_unchanged(shards)
    if not any(record.documents for done in shards for record in done.records):
        remove_work(output, job)
        remove_locks(output)
        raise InvalidInput(_no_documents(job, shards))
    directories = job.directories(output)
    if len(directories) > 1:
        # The records of shards, from which a seal that ends between two parts is completed.
        sync_directory(output)
    if job.has_drafts:
        from fastprep.jobs.ordering import order_documents

        def report(finished: int, shards: int) -> None:
            log("ordering", shards=shards, shards_finished=finished)

        shards = order_documents(output, job, shards, workers, tick, report)
    elif job.has_parts and not job.first_shard:
        train, validation = (
            sum(done.records[number].documents for done in shards) for number in (0, 1)
        )
        check_drawn(job, train + validation, validation)
    # In reverse, so that the store that is returned comes last.
    for number, directory in reversed(list(enumerate(directories))):
        records = [done.records[number] for done in shards]
        manifest = _manifest(job, records, _part(directory, job))
        if job.first_shard:
            if has_appended(directory, job, number):  # by a run that was interrupted
                continue
            manifest = _appended(directory, job, number, manifest)
        manifest = structs.replace(manifest, vocabulary=vocabulary_record(directory))
        write_manifest(directory, manifest)
    remove_journal(output)
    return TokenStore(directories[0])


def complete_seal(journal: Journal, job: Job) -> bool:
    """Complete the sealing of a job if it was interrupted; return whether the job is finished now."""
    written = [
        has_appended(directory, job, number)
        if job.first_shard
        else (directory / manifests.MANIFEST).exists()
        for number, directory in enumerate(job.directories(journal.output))
    ]
    if all(written):
        remove_journal(journal.output)
    elif any(written):
        found = (journal.read_done(index) for index in job.numbers)
        done = [each for each in found if each is not None]
        if len(done) == job.shards:
            seal(journal.output, job, done)
        elif not job.first_shard:  # work of an older version, which did not sync these records
            return False
        else:
            raise InvalidStore(
                f"{journal.output}: records of finished shards are missing; make the store again with "
                "overwrite=True (--overwrite)"
            )
    return any(written)


def base_of(directories: list[Path]) -> Base:
    """Return the store of a job as one to append to; `directories` are those of its parts."""
    stores = [TokenStore(directory) for directory in directories]
    shards = stores[0].manifest.shards
    contents = [(directory / manifests.MANIFEST).read_bytes() for directory in directories]
    return Base(
        frozenset(span.path for shard in shards for span in shard.inputs),
        len(shards),
        [sha256(content).hexdigest() for content in contents],
    )


def has_appended(directory: Path, job: Job, number: int) -> bool:
    """Return whether the manifest of part `number` has the shards that a job appends."""
    appended = open_manifest(directory).manifest.appended or []
    return [(each.first_shard, each.manifest_sha256) for each in appended[-1:]] == [
        (job.first_shard, job.base[number])
    ]


def _appended(directory: Path, job: Job, number: int, new: Manifest) -> Manifest:
    """Return the manifest of a store with the shards of another one appended."""
    content = (directory / manifests.MANIFEST).read_bytes()
    if sha256(content).hexdigest() != job.base[number]:
        raise InvalidStore(
            f"{directory}: another store than when the append started; run the same command again"
        )
    old = manifests.load(directory)
    digest = manifests.digest(old) if old.index else UNSET
    return structs.replace(
        old,
        version=manifests.VERSION,
        tokens=old.tokens + new.tokens,
        documents=old.documents + new.documents,
        appended=[*(old.appended or ()), Appended(job.first_shard, job.base[number], digest)],
        shards=old.shards + new.shards,
    )


def _no_documents(job: Job, shards: list[Done]) -> str:
    """Return the message of the error for inputs without any document."""
    paths = [entry.path for entry in job.inputs]
    message = f"no documents found in {', '.join(paths[:3])}{' ...' if len(paths) > 3 else ''}; "
    bad = [bad for done in shards for bad in done.records[0].bad]
    if not bad:
        return message + "every input is empty"
    count = sum(done.records[0].bad_documents for done in shards)
    return f"{message}{count:,} could not be read, the first: {bad[0].place}: {bad[0].reason}"


def _check_unchanged(shards: list[Done]) -> None:
    """Raise InvalidInput if an input was changed after one shard had read it and before another."""
    seen: dict[str, int | None] = {}
    for done in shards:
        for span, time in zip(done.records[0].inputs, done.modified, strict=True):
            if time is None or (
                span.start == 0 and span.end == span.size
            ):  # read by no other shard
                continue
            if seen.setdefault(span.path, time) != time:
                raise InvalidInput(
                    f"{span.path}: it was changed while it was in use; run the same command, or each "
                    "task, again, to read again what was read before the change"
                )


def _part(directory: Path, job: Job) -> PartRecord | None:
    """Return the part of the corpus that the job's store in a directory holds, or None for all."""
    if not job.has_parts:
        return None
    return PartRecord(
        "train" if directory.name == "train" else "validation",
        job.validation,
        UNSET if job.validation_documents is None else job.validation_documents,
    )


def _manifest(job: Job, records: list[ShardRecord], part: PartRecord | None) -> Manifest:
    return Manifest(
        format="fastprep token store",
        version=manifests.VERSION,
        dtype=manifests.dtype_for(job.n_vocab),
        n_vocab=job.n_vocab,
        encoding=job.encoding,
        end_token=job.end_token,
        end_token_first=job.end_token_first,
        begin_token=UNSET if job.begin_token is None else job.begin_token,
        configuration=job.configuration or UNSET,
        separator=job.separator,
        field=job.field,
        on_error=job.on_error,
        input_format=job.input_format,
        zstd_window=job.zstd_window,
        shard_bytes=job.shard_bytes,
        part=part,
        shuffle=UNSET if job.shuffle is None else job.shuffle,
        messages=job.messages or UNSET,
        infill=job.infill or UNSET,
        unicode_version=manifests.UNICODE_VERSION,
        tokens=sum(record.tokens for record in records),
        documents=sum(record.documents for record in records),
        shards=records,
        passed_over=job.passed_over,
    )
