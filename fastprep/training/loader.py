"""The data loader of a training loop: prefetched batches, in an order that can be resumed anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Literal, TypedDict, overload

import torch
from torch.utils.data import DataLoader

from fastprep.errors import FastprepError, InvalidWindow, UnknownOption
from fastprep.system.arguments import whole_number
from fastprep.training.batch import BatchTensors, BatchType, Outputs, Pair, collate_windows
from fastprep.training.dataset import Layout, WindowDataset
from fastprep.training.memory import BatchPool, FileViews
from fastprep.training.sampler import (
    SHUFFLE_BLOCK_TOKENS,
    SHUFFLE_BUFFER_TOKENS,
    Shares,
    Shuffle,
    WindowSampler,
)
from fastprep.training.state import VERSION, check_state, fingerprint, shares_before
from fastprep.windows.mixture import Mixture
from fastprep.windows.sliding import MAX_BATCH_IDS
from fastprep.windows.tokens import Tokens
from fastprep_ext.windows import Prefetcher

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Unpack


MAX_PREFETCH = 1 << 16
MAX_WORKERS = 1 << 12


class WindowOptions(TypedDict, total=False):
    """More options of :class:`~fastprep.training.dataset.WindowDataset`, for type checkers."""

    pad_last: bool
    pad_token: int
    crop: bool
    position_ids: bool
    document_ids: bool
    cu_seqlens: bool
    mask_targets: bool | None
    loss_mask: bool | None
    document_ends: NDArray[np.integer[Any]] | Sequence[int] | None
    vocab_size: int | None
    mmap: bool | None


if TYPE_CHECKING:

    class _LoaderOptions(TypedDict, total=False):
        """The options of a loader that do not change the type of its batches."""

        max_length: int | None
        stride: int | None
        shuffle: Shuffle
        shuffle_block_tokens: int
        shuffle_buffer_tokens: int
        seed: int
        epoch: int
        drop_last: bool
        rank: int | None
        world_size: int | None
        num_workers: int
        prefetch: int
        pin_memory: bool | None
        dtype: torch.dtype | Literal["store"]
        multiprocessing_context: str | BaseContext | None
        persistent_workers: bool
        layout: Layout
        pad_last: bool
        pad_token: int
        crop: bool
        mask_targets: bool | None
        loss_mask: bool | None
        document_ends: NDArray[np.integer[Any]] | Sequence[int] | None
        vocab_size: int | None
        mmap: bool | None


@overload
def create_dataloader(
    tokens: WindowDataset[Pair],
    *,
    batch_size: int,
    **options: Unpack[_LoaderOptions],
) -> WindowLoader[list[torch.Tensor]]: ...
@overload
def create_dataloader(
    tokens: WindowDataset[dict[str, torch.Tensor]],
    *,
    batch_size: int,
    **options: Unpack[_LoaderOptions],
) -> WindowLoader[dict[str, Any]]: ...
@overload
def create_dataloader(
    tokens: WindowDataset[torch.Tensor],
    *,
    batch_size: int,
    **options: Unpack[_LoaderOptions],
) -> WindowLoader[torch.Tensor]: ...
@overload
def create_dataloader(
    tokens: Tokens | Mixture,
    *,
    batch_size: int,
    outputs: Literal["pair"] = ...,
    position_ids: Literal[False] = ...,
    document_ids: Literal[False] = ...,
    cu_seqlens: Literal[False] = ...,
    **options: Unpack[_LoaderOptions],
) -> WindowLoader[list[torch.Tensor]]: ...
@overload
def create_dataloader(
    tokens: Tokens | Mixture,
    *,
    batch_size: int,
    outputs: Literal["tokens"],
    **options: Unpack[_LoaderOptions],
) -> WindowLoader[torch.Tensor]: ...
@overload
def create_dataloader(
    tokens: Tokens | Mixture,
    *,
    batch_size: int,
    outputs: Literal["pair", "dict"] = ...,
    position_ids: bool = ...,
    document_ids: bool = ...,
    cu_seqlens: bool = ...,
    **options: Unpack[_LoaderOptions],
) -> WindowLoader[dict[str, Any]]: ...
@overload
def create_dataloader(
    tokens: Tokens | Mixture | WindowDataset[Any],
    *,
    batch_size: int,
    outputs: Outputs = ...,
    position_ids: bool = ...,
    document_ids: bool = ...,
    cu_seqlens: bool = ...,
    **options: Unpack[_LoaderOptions],
) -> WindowLoader[BatchTensors]: ...
def create_dataloader(
    tokens: Tokens | Mixture | WindowDataset[Any],
    *,
    batch_size: int,
    max_length: int | None = None,
    stride: int | None = None,
    shuffle: Shuffle = True,
    shuffle_block_tokens: int = SHUFFLE_BLOCK_TOKENS,
    shuffle_buffer_tokens: int = SHUFFLE_BUFFER_TOKENS,
    seed: int = 0,
    epoch: int = 0,
    drop_last: bool = True,
    rank: int | None = None,
    world_size: int | None = None,
    num_workers: int = 0,
    prefetch: int = 2,
    pin_memory: bool | None = None,
    dtype: torch.dtype | Literal["store"] = torch.int64,
    outputs: Outputs = "pair",
    multiprocessing_context: str | BaseContext | None = None,
    persistent_workers: bool = False,
    layout: Layout = "sliding",
    **options: Unpack[WindowOptions],
) -> WindowLoader[Any]:
    """Create the data loader of a training loop.

    The order of the windows is a pure function of seed, epoch and position. It takes no memory
    and no time to set up, is the same for any number of workers, and is shared by all ranks: the
    batches of all ranks at one step, concatenated, are one stretch of it. A run saved on 8 ranks
    can therefore resume with 4 or 16, or with another batch size, and no window is lost or
    repeated.

    Parameters
    ----------
    tokens
        what :class:`~fastprep.training.dataset.WindowDataset` takes, such a dataset, or a
        :class:`~fastprep.Mixture`.
    batch_size
        windows per batch of one rank, B.
    max_length
        ids per input, L.
    stride
        ids from the start of a window to the start of the next; `max_length` by default.
    shuffle
        True: all windows of the epoch are shuffled together. "blocks": for disks that seek and for
        file systems on object storage, where reading a window alone takes as long as reading
        megabytes: blocks of consecutive windows are read whole, and the windows of many blocks are
        shuffled together. False: windows come in the order of the corpus.
    shuffle_block_tokens, shuffle_buffer_tokens
        with "blocks": the tokens of a block, 2**22 by default, which are 8 or 16 MiB; and the tokens
        of the blocks that are shuffled together, 2**28 by default. The files of two such buffers are
        in the page cache at a time.
    seed, epoch
        what the order depends on; `epoch` is the first epoch.
    drop_last
        if True, every batch is whole, on every rank alike, and the rest, fewer than
        ``world_size * batch_size`` windows, is skipped in this epoch. If False, the rest is dealt
        to the ranks one by one, so that last batches differ by at most one window; if fewer
        windows than ranks are left, some ranks have one batch less, and a warning says so.
    rank, world_size
        index of this process, and the number of processes; by default those of torch.distributed,
        read when the first batch is requested, so that Lightning or Accelerate may start it after
        the loader is made; without it those of torchrun, else 0 of 1. Where ranks share their
        data, as in tensor parallelism, pass those of the data-parallel group.
    num_workers
        if 0, a native thread of this process makes the batches, which is the fast way; otherwise
        the number of torch's worker processes. The batches are the same.
    prefetch
        number of batches made ahead, by the thread or by each worker. If 0, none, and no thread.
    pin_memory
        whether batches are in page-locked memory, for an asynchronous copy to the GPU:
        ``batch.to("cuda", non_blocking=True)``. By default if CUDA is available.
    dtype
        ``torch.int64``, ``torch.int32``, or "store": the ids as they are, uint16 or uint32, a
        quarter or half of the bytes to copy to a GPU, where ``.long()`` widens them. Windows that
        are not shuffled, padded or pinned and do not overlap are then views of the file.
    outputs
        the form of a batch: "pair" for ``[inputs, targets]``; "dict" for ``input_ids`` and
        ``labels`` as models of transformers take them; "tokens" for one tensor ``[B, L + 1]``.
    multiprocessing_context, persistent_workers
        as in torch's DataLoader, for worker processes.
    layout, **options
        more of :class:`~fastprep.training.dataset.WindowDataset`: `pad_last`, `pad_token`, `crop`,
        `position_ids`, `document_ids`, `cu_seqlens`, `mask_targets`, `document_ends`,
        `vocab_size`, `mmap`.

    Returns
    -------
    WindowLoader
        an iterable of ``[inputs, targets]``, each `dtype` ``[B, L]`` and contiguous; of dicts of
        tensors if document marks are requested; of what `outputs` says.

    Raises
    ------
    InvalidWindow
        for an option out of range, and if the windows make no batch.
    UnknownOption
        for an option that does not exist.
    FastprepError
        what :class:`~fastprep.training.dataset.WindowDataset` raises, also while batches are made.

    Examples
    --------
    >>> loader = create_dataloader(range(101), batch_size=2, max_length=10, seed=3)
    >>> batches = list(loader)
    >>> len(loader), [inputs[:, 0].tolist() for inputs, targets in batches]
    (5, [[70, 60], [20, 50], [80, 30], [10, 0], [40, 90]])
    """
    _check_names(options)
    if isinstance(tokens, WindowDataset):
        name = tokens.format.dtype.name
        own = name if dtype == "store" else getattr(torch, name)
        given = [name for name, value in (("max_length", max_length), ("stride", stride)) if value]
        given += ["layout"] * (layout not in ("sliding", tokens.layout)) + [*options]
        given += ["outputs"] * (outputs not in ("pair", tokens.outputs))
        given += ["dtype"] * (dtype != torch.int64 and dtype != own)
        if given:
            raise InvalidWindow(
                f"a WindowDataset has its own {', '.join(given)}; set them where it is made, and "
                "pass none here"
            )
        dataset = tokens
    else:
        if max_length is None:
            raise InvalidWindow("max_length is missing: the number of ids per input")
        dataset = WindowDataset(
            tokens, max_length, stride, dtype=dtype, layout=layout, outputs=outputs, **options
        )
    sampler = WindowSampler(
        dataset,
        batch_size,
        shuffle=shuffle,
        shuffle_block_tokens=shuffle_block_tokens,
        shuffle_buffer_tokens=shuffle_buffer_tokens,
        seed=seed,
        epoch=epoch,
        drop_last=drop_last,
        rank=rank,
        world_size=world_size,
    )
    return WindowLoader(
        dataset,
        sampler,
        num_workers=num_workers,
        prefetch=prefetch,
        pin_memory=pin_memory,
        multiprocessing_context=multiprocessing_context,
        persistent_workers=persistent_workers,
    )


def _check_names(options: Any) -> None:
    """Raise UnknownOption, with the nearest name, for an option that does not exist."""
    own = [*WindowOptions.__annotations__]
    for name in options:
        if name not in own:
            from difflib import get_close_matches
            from inspect import signature

            known = [*signature(create_dataloader).parameters, *own]
            nearest = get_close_matches(name, known, 1)
            raise UnknownOption(
                f"create_dataloader has no option {name!r}"
                + (f"; did you mean {nearest[0]!r}?" if nearest else "; see its documentation")
            )


class WindowLoader(DataLoader[Any], Generic[BatchType]):
    """The data loader that :func:`create_dataloader` returns: a torch DataLoader with a state.

    ``len()`` is the number of batches of a whole epoch on this rank. ``iter()`` starts at the
    beginning of the epoch, or once at the position of a loaded state. After the end of an epoch
    the next one is due, unless :meth:`set_epoch` sets another. A loop that breaks off ends no
    epoch: the next ``iter()`` yields the same epoch again.

    Lightning and Accelerate take it like any DataLoader, and leave the ranks to it. After
    Accelerate's `prepare`, batches are on its device, as those of its own loaders, and its
    `save_state` and `load_state` include the state.

    Parameters
    ----------
    dataset
        the windows.
    sampler
        the order of the windows, and the rank.
    num_workers, prefetch, pin_memory, multiprocessing_context, persistent_workers
        see :func:`create_dataloader`.

    Raises
    ------
    InvalidWindow
        for an option out of range.

    Examples
    --------
    >>> loader = create_dataloader(range(101), batch_size=2, max_length=10)
    >>> batches = iter(loader)
    >>> _ = next(batches), next(batches)
    >>> state = loader.state_dict()
    >>> state["epoch"], state["position"]
    (0, 4)
    >>> resumed = create_dataloader(range(101), batch_size=3, max_length=10)
    >>> resumed.load_state_dict(state)
    >>> sum(len(inputs) for inputs, targets in resumed)
    6
    """

    sampler: WindowSampler
    dataset: WindowDataset[Any]
    # Accelerate leaves a loader with this mark as it is: it would divide the batches among the ranks
    # a second time. Its prepare() sets the mark in the instance, too.
    _is_accelerate_prepared = True
    use_stateful_dataloader = True  # its save_state() includes state_dict()

    def __init__(
        self,
        dataset: WindowDataset[Any],
        sampler: WindowSampler,
        *,
        num_workers: int = 0,
        prefetch: int = 2,
        pin_memory: bool | None = None,
        multiprocessing_context: str | BaseContext | None = None,
        persistent_workers: bool = False,
    ) -> None:
        self.prefetch: int = whole_number(prefetch, "prefetch", 0, MAX_PREFETCH, InvalidWindow)
        num_workers = whole_number(num_workers, "num_workers", 0, MAX_WORKERS, InvalidWindow)
        if (size := sampler.batch_size * dataset.max_length) > MAX_BATCH_IDS:
            raise InvalidWindow(
                f"a batch of batch_size {sampler.batch_size} and max_length {dataset.max_length} has "
                f"{size} ids; it may have {MAX_BATCH_IDS}, so make one of them smaller"
            )
        has_gpu = torch.cuda.is_available()
        if pin_memory and not has_gpu:
            raise InvalidWindow("pin_memory needs CUDA, which torch does not find; leave it out")
        if not num_workers and (multiprocessing_context is not None or persistent_workers):
            raise InvalidWindow(
                "multiprocessing_context and persistent_workers are for worker processes; pass "
                "num_workers, or leave them out"
            )
        super().__init__(
            dataset,
            batch_size=sampler.batch_size,
            sampler=sampler,
            drop_last=sampler.drop_last,
            collate_fn=collate_windows,
            num_workers=num_workers,
            prefetch_factor=max(self.prefetch, 1) if num_workers else None,
            pin_memory=has_gpu if pin_memory is None else pin_memory,
            multiprocessing_context=multiprocessing_context,
            persistent_workers=persistent_workers,
        )
        self._fingerprint: dict[str, Any] | None = None
        self._progress = (sampler.epoch, 0)  # epoch and position after the last batch yielded
        self._resume = self._progress  # where the next iter() starts, if it is of that epoch

    def __len__(self) -> int:
        return len(self.sampler.shares())

    def __repr__(self) -> str:
        return f"WindowLoader({self.dataset!r}, batch_size={self.batch_size}, {self.sampler!r})"

    def _repr_html_(self) -> str:
        from fastprep.encoding.shown import facts_html

        facts: list[tuple[str, object]] = [
            ("batches per epoch", len(self)),
            ("batch_size", self.batch_size),
            ("epoch, position", f"{self.epoch:,}, {self.position:,}"),
            (
                "order",
                f"seed {self.sampler.seed}" if self.sampler.shuffle else "that of the corpus",
            ),
        ]
        return facts_html("WindowLoader", [*facts, *self.dataset._facts()])

    @property
    def epoch(self) -> int:
        """The epoch of the next batch."""
        return self.sampler.epoch

    @property
    def position(self) -> int:
        """The number of windows of the epoch that all ranks together have received."""
        epoch, position = self._progress
        return position if epoch == self.epoch else 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration; one that has yielded a batch continues."""
        self.sampler.set_epoch(epoch)

    def source_epochs(self) -> list[float]:
        """Return the epochs of each source so far: at 1.25 a source is in its second epoch."""
        length = self.sampler.length
        return self.dataset.source_epochs(self.epoch * length + self.position)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the loader after the batch that was yielded last.

        Every rank returns the same state at the same step, so one of them can save it for all. It
        consists of ints, strings and lists, for ``torch.save`` and JSON alike.
        """
        epoch, position = self.epoch, self.position
        before = shares_before(self.dataset.mixture, epoch * self.sampler.length + position)
        return {
            "version": VERSION,
            "epoch": epoch,
            "position": position,
            "fingerprint": {**self._own_fingerprint(), "shares": before},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume where a state was saved, with any ranks, workers, batch size and dtype.

        Raises
        ------
        WrongState
            if the tokens, shuffle, seed, max_length, stride, layout or mixture differ; of a mixture's
            schedule, only the changes before the position matter. Also if a store was appended to
            since the state was saved, which the message says.
        """
        epoch, position = check_state(
            state, self._own_fingerprint(), self.dataset.sources, self.dataset.mixture
        )
        self.sampler.set_epoch(epoch)
        self._progress = self._resume = (epoch, position)

    def __iter__(self) -> Iterator[BatchType]:  # type: ignore[override]
        epoch, position = self._resume
        start = position if epoch == self.epoch else 0
        self._resume = (0, 0)
        self._progress = (self.epoch, start)
        batches: Iterator[Any] = self._epoch_batches(*self._progress)
        return batches

    def _epoch_batches(self, epoch: int, start: int) -> Iterator[BatchTensors]:
        """Yield the batches of an epoch; until the first one set_epoch may still change it."""
        if epoch != self.epoch:
            self._progress = epoch, start = self.epoch, 0
        shares = self.sampler.shares(start)
        batches = self._worker_batches(start) if self.num_workers else self._batches(shares)
        if (device := self._accelerate_device()) is not None:
            batches = (_on_device(batch, device) for batch in batches)
        for step, batch in enumerate(batches, 1):
            self._progress = (epoch, shares.position_after(step))
            yield batch
        if self.epoch == epoch:  # unless set_epoch was called during the iteration
            self.sampler.set_epoch(epoch + 1)
            self._progress = (epoch + 1, 0)

    def _accelerate_device(self) -> torch.device | None:
        """Return the device of Accelerate if it has prepared this loader and it is not the CPU."""
        if "_is_accelerate_prepared" not in vars(self):
            return None
        from accelerate import PartialState

        device: torch.device = PartialState().device
        return None if device.type == "cpu" else device

    def _worker_batches(self, start: int) -> Iterator[Any]:
        self.sampler.start = start
        try:
            return super().__iter__()  # iterates the sampler, to give the workers their first task
        finally:
            self.sampler.start = 0

    def _batches(self, shares: Shares) -> Iterator[BatchTensors]:
        steps = len(shares)
        views = self._views()
        pool = BatchPool(self.dataset.format, self.pin_memory)
        prefetch = 0 if views else self.prefetch
        prefetcher: Prefetcher[Any] = Prefetcher(
            self.dataset.maker, self.sampler.order(), prefetch, shares.step
        )
        queue_size = max(1, prefetch)
        submitted = 0
        try:
            for step in range(steps):
                batch = views.batch(shares.positions(step)) if views else None
                if batch is None:
                    submitted = max(submitted, step)
                    while submitted < min(steps, step + queue_size):
                        positions = shares.positions(submitted)
                        # No local variable: the pool would count the memory as in use.
                        prefetcher.submit(positions, *pool.allocate(len(positions)))
                        submitted += 1
                    batch = pool.to_batch(*prefetcher.take())
                    if prefetcher.wants_open:
                        # A shard that cannot be opened is an error once a window of it is due.
                        with suppress(FastprepError, OSError):
                            prefetcher.open_wanted()
                yield batch
        finally:
            prefetcher.stop()

    def _views(self) -> FileViews | None:
        """Return views of the mapped file if all batches are copies of adjacent ids, else None."""
        dataset = self.dataset
        if (
            self.sampler.shuffle
            or self.pin_memory
            or dataset.mixture is not None
            or dataset.layout != "sliding"
            or dataset.stride != dataset.max_length
            or dataset.pad_last
            or not dataset.format.is_plain
            or dataset.mask_targets
            or dataset.loss_mask
            or dataset.outputs == "dict"
            or dataset.vocab_size
            or dataset.format.dtype.name != dataset.sources[0].dtype.name
            or not dataset.sources[0].mapped
            or (counts := dataset.sources[0].file_sizes()) is None
        ):
            return None
        return FileViews(
            dataset.sources[0], counts, dataset.max_length, dataset.outputs == "tokens"
        )

    def _own_fingerprint(self) -> dict[str, Any]:
        if self._fingerprint is None:
            self._fingerprint = fingerprint(
                self.dataset, seed=self.sampler.seed, shuffle=self.sampler.described_shuffle
            )
        return self._fingerprint


def _on_device(batch: Any, device: torch.device) -> Any:
    """Return a batch with its tensors on a device; copies from page-locked memory are asynchronous."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {name: _on_device(value, device) for name, value in batch.items()}
    return [_on_device(part, device) for part in batch] if isinstance(batch, list) else batch
