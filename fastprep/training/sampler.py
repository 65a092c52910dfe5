"""A distributed sampler of windows, and the positions of an epoch that each rank gets."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sized
from typing import Any, Literal, TypeAlias

from torch.utils.data import DistributedSampler

from fastprep.errors import InvalidWindow, UnknownOption, WrongType
from fastprep.system.arguments import whole_number
from fastprep.windows.sliding import checked_size
from fastprep_ext.windows import Order

_MAX_EPOCH = (1 << 62) - 1
_MAX_TOKENS = 1 << 61

Shuffle: TypeAlias = bool | Literal["blocks"]
# A block of 8 MiB of uint16 is read at 0.9 of the speed in order by a disk that seeks in 5 ms.
SHUFFLE_BLOCK_TOKENS = 1 << 22
SHUFFLE_BUFFER_TOKENS = 1 << 28


class Shares:
    """One rank's share of the positions of an epoch.

    A step of all ranks together is the next ``world_size * batch_size`` positions, one block per
    rank: concatenated by rank, the batches of a step are what one process would get at that total
    batch size. The positions left after the last whole step are dealt to the ranks one by one.

    Parameters
    ----------
    length
        number of positions in the epoch.
    batch_size
        positions per rank and step.
    rank, world_size
        index of this process, and the number of processes.
    drop_last
        whether to skip the positions left after the last whole step of all ranks.
    start
        the first position.

    Attributes
    ----------
    step
        positions per step of all ranks.
    whole_steps
        number of steps that give every rank a whole batch.

    Examples
    --------
    >>> shares = Shares(10, batch_size=2, rank=1, world_size=2, drop_last=False, start=0)
    >>> [list(shares.positions(step)) for step in range(len(shares))]
    [[2, 3], [6, 7], [9]]
    >>> shares.position_after(3)
    10
    """

    __slots__ = ("batch_size", "drop_last", "length", "rank", "start", "step", "whole_steps")

    length: int
    batch_size: int
    rank: int
    drop_last: bool
    start: int
    step: int
    whole_steps: int

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
        self.step = world_size * batch_size
        self.whole_steps = max(0, length - start) // self.step

    def __len__(self) -> int:
        after = self.start + self.whole_steps * self.step + self.rank
        return self.whole_steps + (not self.drop_last and after < self.length)

    @property
    def num_left(self) -> int:
        """The number of positions left after the last whole step."""
        return max(0, self.length - self.start) - self.whole_steps * self.step

    @property
    def num_positions(self) -> int:
        """The number of positions that this rank gets."""
        whole = self.whole_steps
        last = len(self.positions(whole)) if len(self) > whole else 0
        return whole * self.batch_size + last

    def positions(self, step: int) -> range:
        """Return the positions of this rank in a step."""
        first = self.start + step * self.step
        if step < self.whole_steps:
            first += self.rank * self.batch_size
            return range(first, first + self.batch_size)
        return range(first + self.rank, self.length, self.step // self.batch_size)

    def position_after(self, steps: int) -> int:
        """Return the position of the epoch after `steps` steps of all ranks."""
        return min(self.start + steps * self.step, self.length)


def resolve_rank(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """Return rank and world size: as given, or those of torch.distributed, of torchrun, or 0 of 1.

    torchrun's are read for a program that makes batches before it starts torch.distributed, so that
    these are not the same on all ranks. Raises InvalidWindow if one is given without the other, or
    a rank is out of range.

    >>> resolve_rank(3, 8), resolve_rank(None, None)
    ((3, 8), (0, 1))
    """
    if (rank is None) != (world_size is None):
        raise InvalidWindow("rank and world_size go together: give both or neither")
    if rank is None or world_size is None:
        import torch.distributed as processes

        if processes.is_available() and processes.is_initialized():
            return processes.get_rank(), processes.get_world_size()
        if processes.is_available() and processes.is_torchelastic_launched():
            return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        return 0, 1
    world_size = checked_size("world_size", world_size)
    return whole_number(rank, "rank", 0, world_size - 1, InvalidWindow), world_size


def _blocks(block_tokens: int, buffer_tokens: int, stride: int) -> tuple[int, int]:
    """Return the windows of a block and the blocks of a buffer.

    >>> _blocks(1000, 5000, 128)
    (7, 5)
    """
    block = whole_number(block_tokens, "shuffle_block_tokens", 1, _MAX_TOKENS, InvalidWindow)
    buffer = whole_number(buffer_tokens, "shuffle_buffer_tokens", 1, _MAX_TOKENS, InvalidWindow)
    if buffer < block:
        raise InvalidWindow(
            f"shuffle_buffer_tokens is {buffer}, less than one block of {block}; give it the tokens of "
            "many blocks"
        )
    return max(1, block // stride), buffer // block


def _epoch_number(epoch: int) -> int:
    return whole_number(epoch, "epoch", 0, _MAX_EPOCH, InvalidWindow)


class WindowSampler(DistributedSampler[int]):
    """A sampler with the order of :func:`fastprep.create_dataloader`, for your own DataLoader.

    It is a :class:`torch.utils.data.DistributedSampler`, so code that tests for one, to call its
    ``set_epoch`` or to avoid sharding twice, finds it. It stores no indices: each is computed on
    demand. Its iterator has ``state_dict`` and ``load_state_dict``, which torchdata's
    StatefulDataLoader saves and restores without replaying the indices before.

    Parameters
    ----------
    dataset
        a :class:`~fastprep.training.dataset.WindowDataset`, or anything with a length.
    batch_size
        the batch size of the loader: ranks take turns by the batch.
    shuffle, shuffle_block_tokens, shuffle_buffer_tokens, seed, epoch
        what the order depends on; see :func:`fastprep.training.loader.create_dataloader`. The windows
        of another dataset count as one token each.
    drop_last
        whether to skip the windows left after the last whole step of all ranks.
    rank, world_size
        index of this process, and the number of processes; by default those of torch.distributed,
        read whenever they are needed, so that it may be started after the sampler is made; without
        it those of torchrun, else 0 of 1.

    Raises
    ------
    InvalidWindow
        for a number out of range, and if there is not one batch.
    UnknownOption
        if `shuffle` is neither a bool nor "blocks".

    Warns
    -----
    UserWarning
        if some ranks have one step less than others, which `drop_last` prevents.

    Examples
    --------
    >>> sampler = WindowSampler(range(6), batch_size=2, shuffle=False, rank=1, world_size=2)
    >>> list(sampler)
    [2, 3]
    """

    batch_size: int
    shuffle: bool
    shuffle_block: int  # windows; 0: all windows are shuffled together
    shuffle_group: int  # blocks
    seed: int
    epoch: int
    drop_last: bool
    start: int
    length: int

    def __init__(
        self,
        dataset: Sized,
        batch_size: int = 1,
        *,
        shuffle: Shuffle = True,
        shuffle_block_tokens: int = SHUFFLE_BLOCK_TOKENS,
        shuffle_buffer_tokens: int = SHUFFLE_BUFFER_TOKENS,
        seed: int = 0,
        epoch: int = 0,
        drop_last: bool = True,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        # Not super().__init__, which pads the samples to the same number on every rank.
        if isinstance(dataset, type) or not hasattr(dataset, "__len__"):
            raise WrongType(
                f"dataset is {dataset!r:.80}; pass a dataset, or anything with a length"
            )
        self.dataset: Any = dataset
        self.batch_size = checked_size("batch_size", batch_size)
        self._given_rank = (
            None if rank is None and world_size is None else (resolve_rank(rank, world_size))
        )
        if isinstance(shuffle, str) and shuffle != "blocks":
            raise UnknownOption(f"shuffle is {shuffle!r}; it must be True, False or 'blocks'")
        self.shuffle = bool(shuffle)
        block, group = _blocks(
            shuffle_block_tokens, shuffle_buffer_tokens, getattr(dataset, "stride", 1)
        )
        self.shuffle_block, self.shuffle_group = (block, group) if shuffle == "blocks" else (0, 1)
        self.seed = whole_number(seed, "seed", 0, (1 << 64) - 1, InvalidWindow)
        self.epoch = _epoch_number(epoch)
        self.drop_last = bool(drop_last)
        self.start = 0
        self.length = self.order().length
        self._checked: set[tuple[int, int]] = set()
        self.shares()

    @property
    def rank(self) -> int:  # type: ignore[override]
        """The index of this process."""
        return (self._given_rank or resolve_rank(None, None))[0]

    @property
    def num_replicas(self) -> int:  # type: ignore[override]
        """The number of processes."""
        return (self._given_rank or resolve_rank(None, None))[1]

    @property
    def described_shuffle(self) -> bool | str:
        """The shuffle, as states of loaders record it."""
        if not self.shuffle_block:
            return self.shuffle
        return f"blocks of {self.shuffle_block} windows, {self.shuffle_group} together"

    def order(self) -> Order:
        """Return the order of the epoch: the index of the window at each position."""
        options: dict[str, Any] = {"shuffle": self.shuffle, "seed": self.seed, "epoch": self.epoch}
        if self.shuffle_block:
            options |= {"block": self.shuffle_block, "group": self.shuffle_group}
        if hasattr(self.dataset, "order"):
            order: Order = self.dataset.order(**options)
            return order
        return Order([len(self.dataset)], **options)

    def shares(self, start: int = 0) -> Shares:
        """Return this rank's share of the epoch, from the position `start` on."""
        shares = Shares(
            self.length, self.batch_size, self.rank, self.num_replicas, self.drop_last, start
        )
        if (self.num_replicas, start) not in self._checked:
            self._checked.add((self.num_replicas, start))
            self._check_steps(shares)
        return shares

    def _check_steps(self, shares: Shares) -> None:
        """Raise InvalidWindow if there is no step; warn if ranks have different numbers of them."""
        ranks, steps = self.num_replicas, shares.whole_steps
        rest = shares.num_left
        if steps == 0 and self.drop_last and shares.start == 0:
            on = f" on each of {ranks} ranks" if ranks > 1 else ""
            raise InvalidWindow(
                f"{self.length} windows make no batch: batch_size {self.batch_size}{on} takes "
                f"{ranks * self.batch_size}, and drop_last skips the rest; use a smaller batch_size, "
                "drop_last=False, or more text"
            )
        if not self.drop_last and 0 < rest < ranks:
            others = (
                f"rank {rest} has" if rest == ranks - 1 else f"ranks {rest} to {ranks - 1} have"
            )
            warnings.warn(
                f"{self.length - shares.start} windows on {ranks} ranks with batch_size "
                f"{self.batch_size}: the last step has {rest} for {ranks} ranks, so {others} "
                f"{steps} steps and the others {steps + 1}, and DistributedDataParallel hangs in "
                "the last; pass drop_last=True, or join the uneven inputs",
                stacklevel=2,
            )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(batch_size={self.batch_size}, shuffle={self.shuffle}, "
            f"seed={self.seed}, epoch={self.epoch})"
        )

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; each has its own order."""
        self.epoch = _epoch_number(epoch)

    def __len__(self) -> int:
        return self.shares().num_positions

    def __iter__(self) -> Iterator[int]:
        return _Indices(self, self.start)


class _Indices(Iterator[int]):
    """Iterator over the indices of one rank in one epoch."""

    def __init__(self, sampler: WindowSampler, start: int) -> None:
        self._order = sampler.order()
        self._shares = sampler.shares(start)
        self._sampler = sampler
        self._count = 0
        self._step: list[int] = []

    def __next__(self) -> int:
        step, row = divmod(self._count, self._shares.batch_size)
        if row == 0 or not self._step:
            if step >= len(self._shares):
                raise StopIteration
            self._step = self._order.take(self._shares.positions(step))
        if row >= len(self._step):
            raise StopIteration
        self._count += 1
        return self._step[row]

    def state_dict(self) -> dict[str, int]:
        """Return the epoch, the position at which this iterator started, and its count since."""
        return {"epoch": self._order.epoch, "start": self._shares.start, "given": self._count}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Resume where the state was saved; this sets the sampler's epoch.

        If nothing was left of that epoch, the sampler's epoch becomes the next one, or a later one
        that had been set.
        """
        sampler, earlier = self._sampler, self._sampler.epoch
        sampler.set_epoch(state["epoch"])
        self._order = sampler.order()
        self._shares = sampler.shares(state["start"])
        self._count = state["given"]
        self._step = []
        if self._count >= self._shares.num_positions:
            sampler.set_epoch(max(earlier, state["epoch"] + 1))
