"""Positions of an epoch -> window indices."""

from collections.abc import Iterable, Sequence

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
