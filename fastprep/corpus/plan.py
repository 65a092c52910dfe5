"""Division of the inputs into tasks, one per shard."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

from fastprep.corpus import reader as corpus
from fastprep.corpus.documents import Format, Span

Task: TypeAlias = tuple[Span, ...]

# By default 64 tasks, for up to 64 cores: large enough that the start of a task costs no time, small
# enough that the loss of one costs little.
_TASKS = 64
_MIN_SHARD_BYTES = 8 << 20
_MAX_SHARD_BYTES = 256 << 20


def default_shard_bytes(spans: Sequence[Span]) -> int:
    """Return a 64th of the input, but at least 8 MiB and at most 256 MiB.

    >>> default_shard_bytes([Span("a.txt", 0, 9, 9)]) >> 20
    8
    """
    return min(max(sum(span.size for span in spans) // _TASKS, _MIN_SHARD_BYTES), _MAX_SHARD_BYTES)


def plan(spans: Sequence[Span], form: Format, *, shard_bytes: int) -> list[Task]:
    """Divide files into tasks of about ``shard_bytes``, in order.

    Consecutive files share a task while they fit in it. A larger file is cut into spans of equal size,
    one per task, if its format can be cut.

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
        if span.size > shard_bytes and corpus.can_divide(span, form):
            count = -(-span.size // shard_bytes)
            edges = [span.size * index // count for index in range(count + 1)]
            tasks.extend((span.part(start, end),) for start, end in pairwise(edges))
        else:
            shared.append(span)
            shared_bytes += span.size
    if shared:
        tasks.append(tuple(shared))
    return tasks


def task_bytes(task: Task) -> int:
    """Return the number of bytes of input of a task.

    >>> task_bytes((Span("a.txt", 0, 3, 9), Span("b.txt", 2, 9, 9)))
    10
    """
    return sum(span.end - span.start for span in task)
