"""Comparison of a job with the finished store in its output: is it what the job would make?"""

from __future__ import annotations

from pathlib import Path

from msgspec import structs

from fastprep.corpus.documents import Span
from fastprep.corpus.sources import modified
from fastprep.jobs.job import Job, input_differences, job_of, setting_differences
from fastprep.store.manifest import Manifest
from fastprep.store.reader import TokenStore


def store_differences(store: TokenStore, job: Job, *, any_shard_bytes: bool) -> list[str]:
    """Return the differences between a finished store and the one that a job would make.

    An input of equal path and size is taken for the same if it was not changed after its shard was
    written. With `any_shard_bytes` the division into shards does not matter.

    >>> from fastprep import get_encoding, prepare
    >>> from fastprep.jobs.job import Settings, make_job
    >>> _ = (tmp / "one.txt").write_text("One.")
    >>> store = prepare(tmp / "one.txt", tmp / "store", progress=False)
    >>> for settings in Settings(), Settings(separator=None, field="body"):
    ...     job, _ = make_job(tmp / "one.txt", get_encoding("gpt2"), settings)
    ...     store_differences(store, job, any_shard_bytes=True)
    []
    ["separator was '<|endoftext|>' and is None", "field was 'text' and is 'body'"]
    """
    found = settings_differ(store.manifest, job, any_shard_bytes=any_shard_bytes)
    found += input_differences(job_of(store.manifest), job)
    return found or changed_inputs(store, {entry.path for entry in job.inputs})


def settings_differ(manifest: Manifest, job: Job, *, any_shard_bytes: bool) -> list[str]:
    """Return the differences between the settings of a finished store and those of a job."""
    made = job_of(manifest)
    if any_shard_bytes or not manifest.shard_bytes:
        made = structs.replace(made, shard_bytes=job.shard_bytes)
    found = setting_differences(made, job)
    if made.on_error != job.on_error:
        found.append(f"on_error was {made.on_error!r} and is {job.on_error!r}")
    return found


def changed_inputs(store: TokenStore, paths: set[str]) -> list[str]:
    """Return which of the inputs may have changed since their shards were written, and why."""
    found: dict[str, str] = {}
    for index, record in enumerate(store.manifest.shards):
        spans = [span for span in record.inputs if span.path in paths]
        if not spans:
            continue
        written = store.shard_file(index, "bin").stat().st_mtime_ns
        found |= _changed(spans, written)
    return list(found.values())


def changed_since(manifest: Manifest, paths: set[str], written: int | None) -> list[str]:
    """Return which of the inputs may have changed since a store was written, and why.

    `written` is a time in nanoseconds; None if it is not known, and then times are not compared.
    """
    spans = {span.path: span for shard in manifest.shards for span in shard.inputs}
    found = _changed([span for path, span in spans.items() if path in paths], written)
    return list(found.values())


def _changed(spans: list[Span], written: int | None) -> dict[str, str]:
    found = {}
    for span, time in zip(spans, modified(spans), strict=True):
        if span.in_memory:
            found[span.path] = f"{span.path} is in memory, so it cannot be compared"
        elif time is not None and written is not None and time > written:
            found[span.path] = f"{span.path} was changed after the store was made"
    return found


def finished_store(directories: list[Path]) -> TokenStore:
    """Open the stores of a job, which must all be whole; return the first one."""
    first, *_ = [TokenStore(directory) for directory in directories]
    return first
