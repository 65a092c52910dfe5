"""The inputs of a job, and the shares of its tasks that runs take."""

from __future__ import annotations

import msgspec

from fastprep.corpus.documents import Offset
from fastprep.errors import InvalidArgument
from fastprep.system.arguments import whole_number


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """An input file, and its size in bytes when the job was planned."""

    path: str
    size: Offset


def shards_of_share(count: int, share: tuple[int, int] | None) -> list[int]:
    """Return the shards that a run makes: all, or every n-th from the i-th on for the share (i, n).

    Raises InvalidInput for a share that is not one of 0 to n - 1.

    >>> shards_of_share(5, None), shards_of_share(5, (1, 3))
    ([0, 1, 2, 3, 4], [1, 4])
    """
    if share is None:
        return list(range(count))
    try:
        number, total = share
    except (TypeError, ValueError):
        raise InvalidArgument(
            f"task is {share!r}; pass (i, n) for the i-th of n equal shares, counted from 0"
        ) from None
    what = f"task {number} of {total}:"
    total = whole_number(total, f"{what} the number of tasks")
    number = whole_number(number, f"{what} the task, counted from 0,", 0, total - 1)
    return list(range(number, count, total))
