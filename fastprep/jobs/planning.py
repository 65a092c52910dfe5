"""Inputs and settings to a job and its tasks: a plan that depends on nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastprep.corpus.documents import Format, OnError
from fastprep.corpus.in_memory import TableSpan
from fastprep.corpus.inputs import Inputs, find
from fastprep.corpus.plan import Task, default_shard_bytes, plan
from fastprep.corpus.sources import empty
from fastprep.errors import InvalidInput
from fastprep.jobs.job import Input, Job, encoding_record, end_token
from fastprep.store.manifest import Eot

if TYPE_CHECKING:
    from fastprep.store.encodings import StoreEncoding


def make_job(
    inputs: Inputs,
    encoding: StoreEncoding,
    *,
    separator: str | None,
    field: str,
    on_error: OnError,
    eot: Eot,
    eot_token: str | None,
    validation: float,
    shard_bytes: int | None,
) -> tuple[Job, list[Task]]:
    """The job of a call to :func:`fastprep.prepare`, and its tasks, one a shard.

    Raises
    ------
    InvalidInput
        for settings that cannot be, and for an input that is missing, empty or of an unknown kind.

    Examples
    --------
    See :func:`fastprep.prepare`.
    """
    if shard_bytes is not None and shard_bytes < 1:
        raise InvalidInput(f"shard_bytes is {shard_bytes}; it must be at least 1")
    if not 0 <= validation < 1:
        raise InvalidInput(
            f"validation is {validation}; it is a fraction of the documents, from 0 to below 1"
        )
    form = Format(separator=separator, field=field, on_error=on_error)
    closing = end_token(encoding, eot, eot_token)
    spans = find(inputs, form)
    if on_error == "raise":
        # Now, and not in the last hour of the work.
        for span in spans:
            if not span.size and not isinstance(span, TableSpan):
                raise empty(span)
    if shard_bytes is None:
        shard_bytes = default_shard_bytes(spans)
    tasks = plan(spans, form, shard_bytes=shard_bytes)
    job = Job(
        encoding=encoding_record(encoding),
        n_vocab=encoding.n_vocab,
        end_token=closing,
        end_token_first=eot == "prepend",
        separator=separator,
        field=field,
        on_error=on_error,
        validation=float(validation),
        shard_bytes=shard_bytes,
        shards=len(tasks),
        inputs=[Input(span.path, span.size) for span in spans],
    )
    return job, tasks


def slice_of(count: int, task: tuple[int, int] | None) -> list[int]:
    """Which shards a run makes: all, or for task ``(i, n)`` every n-th of them from the i-th on.

    Raises
    ------
    InvalidInput
        for a task that is not one of ``0 .. n - 1``.

    Examples
    --------
    >>> slice_of(5, None), slice_of(5, (1, 3))
    ([0, 1, 2, 3, 4], [1, 4])
    """
    if task is None:
        return list(range(count))
    number, of = task
    if not 0 <= number < of:
        raise InvalidInput(
            f"task {number} of {of}: tasks are counted from 0, so they are 0 to {of - 1}"
            if of > 0
            else f"task {number} of {of}: there must be at least one"
        )
    return list(range(number, count, of))
