"""Which rank gets which positions of an epoch, and a sampler that hands them out."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sized
from typing import Any

from torch.utils.data import DistributedSampler

from fastprep.errors import InvalidWindow
from fastprep.windows.sliding import checked_size
from fastprep_ext.windows import Order


class Shares:
    """How the ranks share the positions of an epoch.

    A step of all ranks together is the next ``world_size * batch_size`` positions, a block for
    each rank: put together by rank, the batches of a step are what one process would get at that
    batch size. Where fewer are left, they go round the ranks one by one.

    Parameters
    ----------
    length
        positions in the epoch.
    batch_size
        positions a rank gets in a step.
    rank, world_size
        which of how many.
    drop_last
        whether what is left after the last whole step of all ranks is left out.
    start
        the position to begin at.

    Attributes
    ----------
    whole_steps
        how many steps give every rank a whole batch.

    Examples
    --------
    >>> shares = Shares(10, batch_size=2, rank=1, world_size=2, drop_last=False, start=0)
    >>> [list(shares.positions(step)) for step in range(len(shares))]
    [[2, 3], [6, 7], [9]]
    >>> shares.position_after(3)
    10
    """

    __slots__ = ("_step", "batch_size", "drop_last", "length", "rank", "start", "whole_steps")

    def __init__(
        self,
        length: int,
        batch_size: int,
        rank: int,
        world_size: int,
        drop_last: bool,
        start: int,
    ) -> None:
        self.length = length
        self.batch_size = batch_size
        self.rank = rank
        self.drop_last = drop_last
        self.start = start
        self._step = world_size * batch_size
        self.whole_steps = max(0, length - start) // self._step

    def __len__(self) -> int:
        after = self.start + self.whole_steps * self._step + self.rank
        return self.whole_steps + (not self.drop_last and after < self.length)

    @property
    def num_positions(self) -> int:
        """How many positions this rank gets."""
        whole = self.whole_steps
        last = len(self.positions(whole)) if len(self) > whole else 0
        return whole * self.batch_size + last

    def positions(self, step: int) -> range:
        """The positions of this rank in a step."""
        first = self.start + step * self._step
        if step < self.whole_steps:
            first += self.rank * self.batch_size
            return range(first, first + self.batch_size)
        return range(first + self.rank, self.length, self._step // self.batch_size)

    def position_after(self, steps: int) -> int:
        """Where the epoch stands after so many steps of all ranks."""
        return min(self.start + steps * self._step, self.length)


def world(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """Rank and world size: as given, or torch.distributed's where it runs, or 0 of 1.

    Raises
    ------
    InvalidWindow
        for one given without the other, or a rank that the world does not have.

    Examples
    --------
    >>> world(3, 8), world(None, None)
    ((3, 8), (0, 1))
    """
    if (rank is None) != (world_size is None):
        raise InvalidWindow("rank and world_size go together: give both or neither")
    if rank is None or world_size is None:
        import torch.distributed as processes

        if processes.is_available() and processes.is_initialized():
            return processes.get_rank(), processes.get_world_size()
        return 0, 1
    if not 0 <= _integer("rank", rank) < checked_size("world_size", world_size):
        raise InvalidWindow(f"rank {rank} of {world_size}; ranks count from 0")
    return rank, world_size


def _integer(name: str, value: int) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise InvalidWindow(f"{name} must be an integer; found {value!r}") from None


class WindowSampler(DistributedSampler[Any]):
    """The order of a loader as a sampler, for DataLoaders of your own.

    A :class:`torch.utils.data.DistributedSampler` in kind, so what looks for one to call its
    ``set_epoch``, or not to shard once more, finds it. It holds nothing: an index is computed
    when it is asked for, and its iterator has ``state_dict`` and ``load_state_dict``, which
    torchdata's StatefulDataLoader saves and loads without going through what was before.

    Parameters
    ----------
    dataset
        a :class:`~fastprep.training.dataset.WindowDataset`, or anything with a length.
    batch_size
        what the loader's is: ranks take turns a batch at a time.
    shuffle, seed, epoch
        the order; see :func:`fastprep.training.loader.create_dataloader`.
    drop_last
        whether what is left after the last whole step of all ranks is left out.
    rank, world_size
        which of how many; torch.distributed's if not given.

    Raises
    ------
    InvalidWindow
        for numbers out of range.

    Examples
    --------
    >>> sampler = WindowSampler(range(6), batch_size=2, shuffle=False, rank=1, world_size=2)
    >>> list(sampler)
    [2, 3]
    """

    def __init__(
        self,
        dataset: Sized,
        batch_size: int = 1,
        *,
        shuffle: bool = True,
        seed: int = 0,
        epoch: int = 0,
        drop_last: bool = True,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        # Not super().__init__, which counts samples that are padded to be the same everywhere.
        self.dataset: Any = dataset
        self.batch_size = checked_size("batch_size", batch_size)
        self.rank, self.num_replicas = world(rank, world_size)
        self.shuffle = bool(shuffle)
        self.seed = _integer("seed", seed)
        self.epoch = _integer("epoch", epoch)
        self.drop_last = bool(drop_last)
        self.start = 0
        self.length = self.order().length

    def order(self) -> Order:
        """Give the order of the epoch."""
        if hasattr(self.dataset, "order"):
            order: Order = self.dataset.order(
                shuffle=self.shuffle, seed=self.seed, epoch=self.epoch
            )
            return order
        return Order([len(self.dataset)], seed=self.seed, epoch=self.epoch, shuffle=self.shuffle)

    def shares(self, start: int = 0) -> Shares:
        """Give this rank's share of the epoch, from a position on."""
        return Shares(
            self.length, self.batch_size, self.rank, self.num_replicas, self.drop_last, start
        )

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch: each has an order of its own."""
        self.epoch = _integer("epoch", epoch)

    def __len__(self) -> int:
        return self.shares().num_positions

    def __iter__(self) -> Iterator[int]:
        return _Indices(self, self.start)


class _Indices(Iterator[int]):
    """The indices of one rank in one epoch."""

    def __init__(self, sampler: WindowSampler, start: int) -> None:
        self._order = sampler.order()
        self._shares = sampler.shares(start)
        self._sampler = sampler
        self._given = 0
        self._step: list[int] = []

    def __next__(self) -> int:
        step, row = divmod(self._given, self._shares.batch_size)
        if row == 0 or not self._step:
            if step >= len(self._shares):
                raise StopIteration
            self._step = self._order.take(self._shares.positions(step))
        if row >= len(self._step):
            raise StopIteration
        self._given += 1
        return self._step[row]

    def state_dict(self) -> dict[str, int]:
        """Which epoch this is, where in it this iterator began, and how many it gave since."""
        return {"epoch": self._order.epoch, "start": self._shares.start, "given": self._given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where the state was taken, which sets the sampler's epoch.

        Where nothing was left of that epoch, it is the next one, or a later one that was set.
        """
        sampler, chosen = self._sampler, self._sampler.epoch
        sampler.set_epoch(state["epoch"])
        self._order = sampler.order()
        self._shares = sampler.shares(state["start"])
        self._given = state["given"]
        self._step = []
        if self._given >= self._shares.num_positions:
            sampler.set_epoch(max(chosen, state["epoch"] + 1))
