"""Window indices -> a filled batch."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from fastprep_ext.documents import DocumentEnds
from fastprep_ext.windows import TokenShards

class Rows:
    """The windows of one sequence of tokens."""

    def __init__(
        self,
        tokens: TokenShards,
        num_rows: int,
        stride: int,
        *,
        segments: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]] | None = None,
        ends: DocumentEnds | None = None,
        describe: Callable[[int], str] | None = None,
    ) -> None: ...

class BatchMaker:
    """Makes batches of windows into memory of its caller."""

    sources: tuple[Rows, ...]

    def __init__(
        self,
        sources: Iterable[Rows],
        length: int,
        *,
        out: str = "int64",
        input_fill: int = 0,
        target_fill: int = -100,
        mask: bool = False,
        vocab_size: int = 0,
    ) -> None: ...
    def __len__(self) -> int: ...
    def make(
        self, indices: Sequence[int], places: tuple[int, int, int, int, int]
    ) -> tuple[int, int]:
        """Make the batch of the windows `indices`, a sequence of ints; the GIL is released."""

def read_tokens(tokens: TokenShards, start: int, count: int) -> list[int]:
    """Read `count` ids from `start` on, as a list of ints."""
