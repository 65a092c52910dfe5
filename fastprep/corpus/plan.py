"""Division of the inputs into tasks, one per shard.

The division is local: a change of one input, or an input more or less, changes the tasks that read it
and few bytes next to it. So a job whose inputs were changed keeps its other shards.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import TypeAlias

from fastprep.corpus import reader as corpus
from fastprep.corpus.documents import Format, Span
from fastprep_ext.corpus import borders_between

Task: TypeAlias = tuple[Span, ...]

# By default 64 tasks, for up to 64 cores: large enough that the start of a task costs no time, small
# enough that the loss of one costs little.
_TASKS = 64
_MIN_SHARD_BYTES = 8 << 20
_MAX_SHARD_BYTES = 256 << 20


def default_shard_bytes(spans: Sequence[Span]) -> int:
    """Return a 64th of the input, rounded down to a power of two, from 8 MiB to 256 MiB.

    It is a power of two so that a small change of the inputs does not change it.

    >>> default_shard_bytes([Span("a.txt", 0, 9, 9)]) >> 20
    8
    """
    share = sum(span.size for span in spans) // _TASKS
    return min(max(1 << max(share.bit_length() - 1, 0), _MIN_SHARD_BYTES), _MAX_SHARD_BYTES)


def plan(spans: Sequence[Span], form: Format, *, shard_bytes: int) -> list[Task]:
    """Divide files into tasks of about ``shard_bytes``, in order.

    A file larger than that is cut into spans of equal size, one per task, if its format can be cut.
    Other consecutive files share tasks, as :func:`_shared` divides them.

    >>> files = [Span(name, 0, size, size) for name, size in [("a.txt", 3), ("b.txt", 25)]]
    >>> for task in plan(files, Format(), shard_bytes=10):
    ...     print([(span.path, span.start, span.end) for span in task])
    [('a.txt', 0, 3)]
    [('b.txt', 0, 8)]
    [('b.txt', 8, 16)]
    [('b.txt', 16, 25)]
    """
    tasks: list[Task] = []

    def is_cut(span: Span) -> bool:
        return span.size > shard_bytes and corpus.can_divide(span, form)

    for cut, found in groupby(spans, is_cut):
        if not cut:
            tasks += _shared([*found], shard_bytes)
            continue
        for span in found:
            count = -(-span.size // shard_bytes)
            edges = [span.size * index // count for index in range(count + 1)]
            tasks.extend((span.part(start, end),) for start, end in pairwise(edges))
    return tasks


def _shared(spans: list[Span], shard_bytes: int) -> list[Task]:
    """Divide consecutive files into tasks of at most ``shard_bytes``, or of one file.

    Files that are too large together are divided before the one whose name has the smallest hash, and
    both halves again. So a border depends only on the files up to the next borders of smaller hashes: a
    file more or less, or of another size, moves no border except those next to it. Filling tasks from
    the first file on would need half as many tasks, but would move all later borders. The name is
    hashed without its folders, which do not matter as long as names differ.

    >>> files = [Span(f"{name}.txt", 0, 4, 4) for name in "abcdefgh"]
    >>> [[span.path[0] for span in task] for task in _shared(files, 10)]
    [['a'], ['b', 'c'], ['d'], ['e', 'f'], ['g', 'h']]
    """
    sizes = [span.size for span in spans]
    if sum(sizes) <= shard_bytes:
        return [tuple(spans)]
    borders = borders_between([span.path for span in spans], sizes, shard_bytes)
    return [tuple(spans[start:stop]) for start, stop in pairwise([0, *borders, len(spans)])]


def task_bytes(task: Task) -> int:
    """Return the number of bytes of input of a task.

    >>> task_bytes((Span("a.txt", 0, 3, 9), Span("b.txt", 2, 9, 9)))
    10
    """
    return sum(span.end - span.start for span in task)
