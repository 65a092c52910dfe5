"""The loader of a training loop: batches made ahead, in an order that can be resumed anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch.utils.data import DataLoader

from fastprep.errors import InvalidWindow
from fastprep.training.batch import Batch, Sample, collate_windows
from fastprep.training.dataset import Layout, WindowDataset
from fastprep.training.memory import BatchPool, FileViews
from fastprep.training.sampler import Shares, WindowSampler
from fastprep.training.state import VERSION, check_state, fingerprint
from fastprep.windows.mixture import Mixture
from fastprep.windows.sliding import checked_size
from fastprep.windows.tokens import Tokens
from fastprep_ext.windows import Prefetcher


def create_dataloader(
    tokens: Tokens | Mixture | WindowDataset,
    *,
    batch_size: int,
    max_length: int | None = None,
    stride: int | None = None,
    shuffle: bool = True,
    seed: int = 0,
    epoch: int = 0,
    drop_last: bool = True,
    rank: int | None = None,
    world_size: int | None = None,
    num_workers: int = 0,
    prefetch: int = 2,
    pin_memory: bool | None = None,
    dtype: torch.dtype | Literal["store"] = torch.int64,
    multiprocessing_context: Any = None,
    persistent_workers: bool = False,
    layout: Layout = "sliding",
    **options: Any,
) -> WindowLoader:
    """Make the loader of a training loop.

    The order of the windows is a pure function of seed, epoch and position. It takes no memory
    and no time to begin, is the same for any number of workers, and is shared by all ranks: the
    batches of all ranks at one step, put together, are one stretch of it. So a run saved on 8
    ranks goes on with 4 or 16, or with another batch size, and no window is lost or repeated.

    Parameters
    ----------
    tokens
        what :class:`~fastprep.training.dataset.WindowDataset` takes, such a dataset, or a
        :class:`~fastprep.Mixture`.
    batch_size
        windows in a batch of one rank, B.
    max_length
        ids in an input, L.
    stride
        ids from the begin of a window to the begin of the next; `max_length` if not given.
    shuffle
        False: windows in the order of the corpus.
    seed, epoch
        what the order depends on; `epoch` is where to begin.
    drop_last
        True: every batch is whole, on every rank alike; what is left, fewer than
        ``world_size * batch_size`` windows, is left out of this epoch. False: it goes round the
        ranks one by one, so that last batches differ by at most one window; with fewer windows
        than ranks some ranks have one batch less.
    rank, world_size
        which process of how many; if not given, torch.distributed's where it runs, else one.
    num_workers
        0: batches are made by a native thread of this process, which is the fast way. Otherwise
        torch's worker processes; the batches are the same.
    prefetch
        how many batches are made ahead, by the thread or by each worker. 0: none, no thread.
    pin_memory
        whether batches lie in pinned memory, for a copy to the GPU that does not wait:
        ``batch.to("cuda", non_blocking=True)``. If not given, so where there is CUDA.
    dtype
        ``torch.int64``, ``torch.int32``, or "store": the ids as they are, uint16 or uint32, a
        quarter or half of the bytes to copy to a GPU, where ``.long()`` widens them. Windows that
        are not shuffled, padded or pinned and do not overlap come as views of the file then.
    multiprocessing_context, persistent_workers
        torch's, for workers.
    layout, **options
        more of :class:`~fastprep.training.dataset.WindowDataset`: `pad_last`, `pad_token`, `crop`,
        `position_ids`, `document_ids`, `cu_seqlens`, `mask_targets`, `document_ends`,
        `vocab_size`, `mmap`.

    Returns
    -------
    WindowLoader
        an iterable of ``[inputs, targets]``, ``[B, L]`` each, contiguous; of dicts, where marks
        of documents are asked for.

    Raises
    ------
    InvalidWindow
        for options out of range.
    FastprepError
        what :class:`~fastprep.training.dataset.WindowDataset` raises, also while batches are made.

    Examples
    --------
    >>> loader = create_dataloader(range(101), batch_size=2, max_length=10, seed=3)
    >>> batches = list(loader)
    >>> len(loader), [inputs[:, 0].tolist() for inputs, targets in batches]
    (5, [[70, 60], [20, 50], [80, 30], [10, 0], [40, 90]])
    """
    if isinstance(tokens, WindowDataset):
        own = tokens.form.dtype.name if dtype == "store" else getattr(torch, tokens.form.dtype.name)
        other = [
            name for name, chosen in (("max_length", max_length), ("stride", stride)) if chosen
        ]
        other += ["layout"] * (layout not in ("sliding", tokens.layout)) + [*options]
        other += ["dtype"] * (dtype != torch.int64 and dtype != own)
        if other:
            raise InvalidWindow(
                f"a WindowDataset has its own {', '.join(other)}; choose where it is made, and pass "
                "none here"
            )
        dataset = tokens
    else:
        if max_length is None:
            raise InvalidWindow("max_length is missing: how many ids an input has")
        dataset = WindowDataset(tokens, max_length, stride, dtype=dtype, layout=layout, **options)
    sampler = WindowSampler(
        dataset,
        batch_size,
        shuffle=shuffle,
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


class WindowLoader(DataLoader[Sample]):
    """What :func:`create_dataloader` makes: a torch DataLoader that can say where it stands.

    ``len()`` is the number of batches of a whole epoch on this rank. ``iter()`` begins the epoch
    at its start, or once where a loaded state stands; when an epoch ends, the next one begins,
    unless :meth:`set_epoch` says which. Breaking off ends nothing: the next ``iter()`` gives the
    same epoch again.

    Under Lightning and Accelerate it is a DataLoader like any other. Accelerate's `prepare`
    divides the batches of whatever it gets among processes, so make the loader with ``rank=0,
    world_size=1`` for it; Lightning leaves the ranks to the sampler.

    Parameters
    ----------
    dataset
        the windows.
    sampler
        their order.
    num_workers, prefetch, pin_memory, multiprocessing_context, persistent_workers
        see :func:`create_dataloader`.

    Raises
    ------
    InvalidWindow
        for options out of range.

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
    dataset: WindowDataset

    def __init__(
        self,
        dataset: WindowDataset,
        sampler: WindowSampler,
        *,
        num_workers: int = 0,
        prefetch: int = 2,
        pin_memory: bool | None = None,
        multiprocessing_context: Any = None,
        persistent_workers: bool = False,
    ) -> None:
        if prefetch != 0:
            checked_size("prefetch", prefetch)
        self.prefetch = prefetch
        has_gpu = torch.cuda.is_available()
        if pin_memory and not has_gpu:
            raise InvalidWindow("pin_memory needs CUDA, and torch finds none; leave it out")
        super().__init__(
            dataset,
            batch_size=sampler.batch_size,
            sampler=sampler,
            drop_last=sampler.drop_last,
            collate_fn=collate_windows,
            num_workers=num_workers,
            prefetch_factor=max(prefetch, 1) if num_workers else None,
            pin_memory=has_gpu if pin_memory is None else pin_memory,
            multiprocessing_context=multiprocessing_context,
            persistent_workers=persistent_workers,
        )
        self._fingerprint: dict[str, Any] | None = None
        self._stand = (sampler.epoch, 0)  # what was handed out
        self._resume = self._stand  # where the next iter() begins, if it is of that epoch

    def __len__(self) -> int:
        return len(self.sampler.shares())

    @property
    def epoch(self) -> int:
        """The epoch that the next batch belongs to."""
        return self.sampler.epoch

    @property
    def position(self) -> int:
        """How many windows of the epoch all ranks together were handed."""
        epoch, position = self._stand
        return position if epoch == self.epoch else 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; one that has handed out a batch goes on."""
        if epoch < 0:
            raise InvalidWindow(f"epoch must be at least 0; found {epoch}")
        self.sampler.set_epoch(epoch)

    def source_epochs(self) -> list[float]:
        """How many times each source was gone through up to here: 1.25 is in its second epoch."""
        length = self.sampler.length
        return self.dataset.source_epochs(self.epoch * length + self.position)

    def state_dict(self) -> dict[str, Any]:
        """Say where the loader stands: after the batch that was handed out last.

        Every rank gives the same state at the same step, so one of them saves it for all. It is
        made of ints, strings and lists, for ``torch.save`` and JSON alike.
        """
        return {
            "version": VERSION,
            "epoch": self.epoch,
            "position": self.position,
            "fingerprint": self._own_fingerprint(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a state was taken, with any ranks, workers, batch size and dtype.

        Raises
        ------
        WrongState
            for a state of other tokens, or of another seed, max_length, stride, layout or mixture.
        """
        epoch, position = check_state(state, self._own_fingerprint())
        self.sampler.set_epoch(epoch)
        self._stand = self._resume = (epoch, position)

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        epoch, position = self._resume
        start = position if epoch == self.epoch else 0
        self._resume = (0, 0)
        self._stand = (self.epoch, start)
        return self._begun(*self._stand)

    def _begun(self, epoch: int, start: int) -> Iterator[Batch]:
        """Begin when the first batch is asked for: until then another epoch may be chosen."""
        if epoch != self.epoch:
            self._stand = epoch, start = self.epoch, 0
        shares = self.sampler.shares(start)
        batches = self._worker_batches(start) if self.num_workers else self._batches(shares)
        for step, made in enumerate(batches, 1):
            self._stand = (epoch, shares.position_after(step))
            yield made
        if self.epoch == epoch:  # and no other one was chosen meanwhile
            self.sampler.set_epoch(epoch + 1)
            self._stand = (epoch + 1, 0)

    def _worker_batches(self, start: int) -> Iterator[Any]:
        self.sampler.start = start
        try:
            return super().__iter__()  # begins the sampler, to send the workers their first work
        finally:
            self.sampler.start = 0

    def _batches(self, shares: Shares) -> Iterator[Batch]:
        steps = len(shares)
        views = self._views()
        pool = BatchPool(self.dataset.form, self.pin_memory)
        prefetch = 0 if views else self.prefetch
        prefetcher: Prefetcher[Any] = Prefetcher(self.dataset.maker, self.sampler.order(), prefetch)
        ahead = max(1, prefetch)
        asked = 0
        try:
            for step in range(steps):
                made = views.batch(shares.positions(step)) if views else None
                if made is None:
                    asked = max(asked, step)
                    while asked < min(steps, step + ahead):
                        positions = shares.positions(asked)
                        places, memory = pool.memory(len(positions))
                        prefetcher.submit(positions, places, memory)
                        asked += 1
                    made = pool.batch(*prefetcher.take())
                    memory = None  # or it would count as in use
                yield made
        finally:
            prefetcher.stop()

    def _views(self) -> FileViews | None:
        dataset = self.dataset
        if (
            self.sampler.shuffle
            or self.pin_memory
            or dataset.mixture is not None
            or dataset.layout != "sliding"
            or dataset.stride != dataset.max_length
            or dataset.pad_last
            or not dataset.form.is_plain
            or dataset.mask_targets
            or dataset.vocab_size
            or dataset.form.dtype.name != dataset.sources[0].dtype.name
            or (files := dataset.sources[0].files()) is None
        ):
            return None
        return FileViews(files, dataset.form.dtype, dataset.max_length)

    def _own_fingerprint(self) -> dict[str, Any]:
        if self._fingerprint is None:
            self._fingerprint = fingerprint(
                self.dataset, seed=self.sampler.seed, shuffle=self.sampler.shuffle
            )
        return self._fingerprint
