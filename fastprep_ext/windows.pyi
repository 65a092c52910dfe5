from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

class TokenShards:
    """One long sequence of token ids that lies in one buffer or in several."""

    def __init__(
        self, shards: Iterable[object], files: Sequence[tuple[int, int, int]] | None = None
    ) -> None: ...
    num_tokens: int

class DocumentEnds:
    """Where the documents of a sequence of tokens end."""

    def __init__(self, parts: Iterable[tuple[int, NDArray[np.uint64]]]) -> None: ...
    @property
    def num_documents(self) -> int:
        """How many documents end in all parts together."""

class Order:
    """In which order an epoch hands out the windows of one source or of several."""

    def __init__(
        self,
        sizes: Iterable[int],
        *,
        splits: Sequence[tuple[int, int, int, int]] = (),
        length: int | None = None,
        seed: int = 0,
        epoch: int = 0,
        shuffle: bool = True,
    ) -> None: ...
    @property
    def length(self) -> int:
        """How many positions an epoch has."""
    @property
    def epoch(self) -> int:
        """The epoch that this is the order of."""
    def take(self, positions: range) -> list[int]:
        """Give the windows at the positions of a range, as a list of ints."""

def best_fit(sizes: NDArray[np.int32], capacity: int) -> tuple[NDArray[np.int64], int]:
    """Give each item a row, so that the sizes in a row add up to at most `capacity`."""

class GatheredRows:
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

    sources: tuple[GatheredRows, ...]

    def __init__(
        self,
        sources: Iterable[GatheredRows],
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

Owner = TypeVar("Owner")

class Prefetcher(Generic[Owner]):
    """Makes the batches of an order, some of them ahead."""

    def __init__(self, maker: BatchMaker, order: Order, ahead: int) -> None: ...
    def __len__(self) -> int: ...
    def submit(
        self, positions: range, places: tuple[int, int, int, int, int], owner: Owner
    ) -> None:
        """Ask for the batch of a range of positions, to be written to `places`."""
    def take(self) -> tuple[Owner, int, int]:
        """Give the oldest batch asked for: its owner, and what `BatchMaker.make` returns."""
    def stop(self) -> None:
        """End the thread, after the batch that it is at."""
