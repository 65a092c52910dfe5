"""Sealing: the manifests that make finished shards a store."""

from __future__ import annotations

from pathlib import Path

from fastprep.errors import InvalidInput
from fastprep.jobs.job import Job
from fastprep.jobs.journal import Done
from fastprep.jobs.output import clear, remove_journal, remove_locks
from fastprep.store import manifest as manifests
from fastprep.store.manifest import Manifest, PartRecord, ShardRecord
from fastprep.store.reader import TokenStore
from fastprep.system.atomic import replacing


def seal(output: Path, job: Job, shards: list[Done]) -> TokenStore:
    """Write the manifest of each store of a job, remove its journal, and return the store.

    `output` is locked by the caller, and `shards` has all shards in order. If there are two stores,
    that of the part ``train`` is returned. Raises InvalidInput if no shard has a document, or if an
    input was changed between two shards.
    """
    _check_unchanged(shards)
    if not any(record.documents for done in shards for record in done.records):
        clear(output)
        remove_locks(output)
        raise InvalidInput(_no_documents(job, shards))
    directories = job.directories(output)
    # In reverse, so that the store that is returned comes last.
    for number, directory in reversed(list(enumerate(directories))):
        records = [done.records[number] for done in shards]
        with replacing(directory / manifests.MANIFEST, replace_link=False) as file:
            file.write(manifests.encode(_manifest(job, records, _part(directory, job))))
    remove_journal(output)
    return TokenStore(directories[0])


def is_result_of(store: TokenStore, job: Job) -> bool:
    """Return whether the job would write this very manifest over the store's shards.

    If so, all settings are equal; the inputs are equal if those of the shards are.

    >>> from fastprep import get_encoding, prepare
    >>> from fastprep.jobs.job import Settings, make_job
    >>> _ = (tmp / "one.txt").write_text("One.")
    >>> store = prepare(tmp / "one.txt", tmp / "store", progress=False)
    >>> settings = Settings(separator=None)
    >>> job, _ = make_job(tmp / "one.txt", get_encoding("gpt2"), settings)
    >>> is_result_of(store, job)
    False
    """
    found = store.manifest
    return found == _manifest(job, found.shards, _part(store.path, job))


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
            if seen.setdefault(span.path, time) != time:
                raise InvalidInput(
                    f"{span.path}: it was changed while it was in use; run the same command, or each "
                    "task, again, to read again what was read before the change"
                )


def _part(directory: Path, job: Job) -> PartRecord | None:
    """Return the part of the corpus that the job's store in a directory holds, or None for all."""
    if not job.validation:
        return None
    return PartRecord("train" if directory.name == "train" else "validation", job.validation)


def _manifest(job: Job, records: list[ShardRecord], part: PartRecord | None) -> Manifest:
    return Manifest(
        format="fastprep token store",
        version=1,
        dtype=manifests.dtype_for(job.n_vocab),
        n_vocab=job.n_vocab,
        encoding=job.encoding,
        end_token=job.end_token,
        end_token_first=job.end_token_first,
        separator=job.separator,
        field=job.field,
        on_error=job.on_error,
        part=part,
        unicode_version=manifests.UNICODE_VERSION,
        tokens=sum(record.tokens for record in records),
        documents=sum(record.documents for record in records),
        shards=records,
    )
