"""Batches made ahead of their use, by a thread of its own."""

from typing import Generic, TypeVar

from fastprep_ext.gather import BatchMaker
from fastprep_ext.order import Order

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
