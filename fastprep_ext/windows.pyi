from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

class TokenShards:
    """One long sequence of token ids in one or several buffers or files."""

    def __init__(
        self,
        shards: Iterable[object],
        counts: Sequence[int] = (),
        open: Callable[[int], object] | None = None,
        *,
        in_files: bool = False,
        on_network: bool = False,
        read_ahead: int = 0,
    ) -> None: ...
    num_tokens: int
    def open_all(self) -> None:
        """Open all shards that are not open yet."""

class DocumentEnds:
    """The ends of the documents of a sequence of tokens."""

    @overload
    def __init__(self, parts: Iterable[tuple[int, NDArray[np.uint64]]]) -> None: ...
    @overload
    def __init__(
        self,
        parts: Iterable[tuple[int, int]],
        open: Callable[[int], NDArray[np.uint64]],
        *,
        max_open: int = ...,
    ) -> None: ...
    @property
    def num_documents(self) -> int:
        """The number of documents that end in all parts together."""

class Order:
    """The order in which an epoch visits the windows of one or several sources."""

    def __init__(
        self,
        sizes: Iterable[int],
        *,
        splits: Sequence[tuple[int, int, int, int]] = (),
        phases: Sequence[tuple[int, Sequence[tuple[int, int, int, int, int]], Sequence[int]]] = (),
        length: int | None = None,
        seed: int = 0,
        epoch: int = 0,
        shuffle: bool = True,
        block: int = 0,
        group: int = 1,
        chunks: Iterable[int] = (),
        mixed: int = 1,
    ) -> None: ...
    @property
    def length(self) -> int:
        """The number of positions of an epoch."""
    @property
    def epoch(self) -> int:
        """The epoch of this order."""
    def take(self, positions: range) -> list[int]:
        """Return the windows at the positions of a range, as a list of ints."""

def best_fit(sizes: NDArray[np.int32], capacity: int) -> tuple[NDArray[np.int64], int]:
    """Assign each item to a row, so that the sizes in a row add up to at most `capacity`."""

def items_by_row(
    rows: NDArray[np.int64], num_rows: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the items in the order of their rows, and of their numbers within a row."""

def fill_rows(
    sizes: NDArray[np.int32], capacity: int, waiting: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """Fill rows of exactly `capacity` with items in their order, cutting the last of each."""

class GatheredRows:
    """The windows of one sequence of tokens."""

    def __init__(
        self,
        tokens: TokenShards,
        num_rows: int,
        stride: int,
        *,
        segments: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]] | None = None,
        joined: bool = False,
        ends: DocumentEnds | None = None,
        mask: TokenShards | None = None,
        describe: Callable[[int], str] | None = None,
        blocks: tuple[NDArray[np.int64], Callable[[int], object]] | None = None,
        max_stretches: int = ...,
    ) -> None: ...

class BatchMaker:
    """Fills batches of windows in memory of its caller."""

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
        """Fill the batch of the windows `indices`, a sequence of ints; releases the GIL."""

def read_ahead(path: bytes) -> int:
    """Return how many bytes the kernel reads ahead in the files of a directory."""

def on_network(path: bytes) -> bool:
    """Return True if the file system of a path is on another machine."""

def read_tokens(tokens: TokenShards, start: int, count: int) -> list[int]:
    """Return `count` ids from `start` on as a list of ints."""

Owner = TypeVar("Owner")

class Prefetcher(Generic[Owner]):
    """Makes the batches of an order, a bounded number ahead of the reader."""

    def __init__(self, maker: BatchMaker, order: Order, ahead: int, step: int = 0) -> None: ...
    def __len__(self) -> int: ...
    def submit(
        self, positions: range, places: tuple[int, int, int, int, int], owner: Owner
    ) -> None:
        """Request the batch of a range of positions, to be written to `places`."""
    def take(self) -> tuple[Owner, int, int]:
        """Return the oldest batch: its owner, and the result of `BatchMaker.make`."""
    @property
    def wants_open(self) -> bool:
        """True if `open_wanted` has something to open."""
    def open_wanted(self) -> None:
        """Open the shards of windows that are to be requested from the disk, if they are not open."""
    def stop(self) -> None:
        """End the thread after its current batch."""
