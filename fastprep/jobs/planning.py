"""Inputs and settings to a job and its tasks: a plan that depends on nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from fastprep.corpus import reader as corpus
from fastprep.corpus.documents import Format, OnError, Span
from fastprep.corpus.in_memory import TableSpan
from fastprep.corpus.inputs import Inputs, find
from fastprep.corpus.sources import empty
from fastprep.errors import InvalidInput
from fastprep.jobs.job import Eot, Input, Job, encoding_record, end_token

if TYPE_CHECKING:
    from fastprep.store.encodings import StoreEncoding

Task: TypeAlias = tuple[Span, ...]

# By default 64 tasks, for 64 cores to share, but none so small that starting one costs, and none
# so large that losing one hurts.
_TASKS = 64
_LEAST_BYTES = 8 << 20
_MOST_BYTES = 256 << 20


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


def default_shard_bytes(spans: Sequence[Span]) -> int:
    """A 64th of the input, but at least 8 MiB and at most 256 MiB.

    Examples
    --------
    >>> default_shard_bytes([Span("a.txt", 0, 9, 9)]) >> 20
    8
    """
    return min(max(sum(span.size for span in spans) // _TASKS, _LEAST_BYTES), _MOST_BYTES)


def plan(spans: Sequence[Span], form: Format, *, shard_bytes: int) -> list[Task]:
    """Share out whole files among tasks of about ``shard_bytes``, in order.

    Files in a row share a task while they fit in it. A longer file is cut into even spans, each a
    task of its own, if its format lets it be cut.

    Examples
    --------
    >>> files = [Span(name, 0, size, size) for name, size in [("a.txt", 3), ("b.txt", 25)]]
    >>> for task in plan(files, Format(), shard_bytes=10):
    ...     print([(span.path, span.start, span.end) for span in task])
    [('a.txt', 0, 3)]
    [('b.txt', 0, 8)]
    [('b.txt', 8, 16)]
    [('b.txt', 16, 25)]
    """
    tasks: list[Task] = []
    shared: list[Span] = []
    shared_bytes = 0
    for span in spans:
        if shared and shared_bytes + span.size > shard_bytes:
            tasks.append(tuple(shared))
            shared, shared_bytes = [], 0
        if span.size > shard_bytes and corpus.can_split(span.path, form):
            count = -(-span.size // shard_bytes)
            edges = [span.size * index // count for index in range(count + 1)]
            tasks.extend((span.part(start, end),) for start, end in pairwise(edges))
        else:
            shared.append(span)
            shared_bytes += span.size
    if shared:
        tasks.append(tuple(shared))
    return tasks


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


def task_bytes(task: Task) -> int:
    """How many bytes of input a task has.

    Examples
    --------
    >>> task_bytes((Span("a.txt", 0, 3, 9), Span("b.txt", 2, 9, 9)))
    10
    """
    return sum(span.end - span.start for span in task)
