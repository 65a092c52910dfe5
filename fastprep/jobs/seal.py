"""All shards finished: the manifests that make them stores."""

from __future__ import annotations

from pathlib import Path

from fastprep.errors import InvalidInput
from fastprep.jobs.job import Job
from fastprep.jobs.journal import Done
from fastprep.jobs.output import clear, tidy, unlock
from fastprep.store import manifest as manifests
from fastprep.store.manifest import Manifest, PartRecord, ShardRecord
from fastprep.store.reader import TokenStore
from fastprep.system.atomic import replacing


def seal(output: Path, job: Job, shards: list[Done]) -> TokenStore:
    """Write the manifest of each store of a job, and remove what only unfinished work needs.

    Parameters
    ----------
    output
        the job's directory, held by the caller.
    job
        what was asked.
    shards
        all of them, in order.

    Returns
    -------
    TokenStore
        the store; that of the part ``train`` where there are two.

    Raises
    ------
    InvalidInput
        when there is no document in any shard, or an input was changed between two of them.

    Examples
    --------
    See :func:`fastprep.prepare`.
    """
    _check_unchanged(shards)
    if not any(record.documents for done in shards for record in done.records):
        clear(output)
        unlock(output)
        raise InvalidInput(_nothing_in(job, shards))
    directories = job.directories(output)
    # The store that most people will open comes last.
    for number, directory in reversed(list(enumerate(directories))):
        records = [done.records[number] for done in shards]
        with replacing(directory / manifests.MANIFEST) as file:
            file.write(manifests.encode(_manifest(job, records, _part(directory, job))))
    tidy(output)
    return TokenStore(directories[0])


def made_by(store: TokenStore, job: Job) -> bool:
    """Whether the job would write this very manifest over the store's shards.

    So all settings are the same; the inputs are, if the shards' are.

    Examples
    --------
    >>> from fastprep import get_encoding, prepare
    >>> from fastprep.jobs.planning import make_job
    >>> _ = (tmp / "one.txt").write_text("One.")
    >>> store = prepare(tmp / "one.txt", tmp / "store", progress=False)
    >>> settings = {"separator": None, "field": "text", "on_error": "raise", "eot": "append"}
    >>> more = {"eot_token": None, "validation": 0.0, "shard_bytes": None}
    >>> made_by(store, make_job(tmp / "one.txt", get_encoding("gpt2"), **settings, **more)[0])
    False
    """
    found = store.manifest
    return found == _manifest(job, found.shards, _part(store.path, job))


def _nothing_in(job: Job, shards: list[Done]) -> str:
    """Why there is no store where there is no document."""
    paths = [entry.path for entry in job.inputs]
    said = f"no documents found in {', '.join(paths[:3])}{' ...' if len(paths) > 3 else ''}; "
    bad = [bad for done in shards for bad in done.records[0].bad]
    if not bad:
        return said + "every input is empty"
    count = sum(done.records[0].bad_documents for done in shards)
    return f"{said}{count:,} could not be read, the first: {bad[0].place}: {bad[0].reason}"


def _check_unchanged(shards: list[Done]) -> None:
    """Refuse to put together shards that saw a file before and after a change."""
    seen: dict[str, int | None] = {}
    for done in shards:
        for span, when in zip(done.records[0].inputs, done.modified, strict=True):
            if seen.setdefault(span.path, when) != when:
                raise InvalidInput(
                    f"{span.path}: it was changed while it was in use; run the same command, or each "
                    "task, again: what was read before the change is read again"
                )


def _part(directory: Path, job: Job) -> PartRecord | None:
    """Which part of the corpus the job's store in a directory is."""
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
