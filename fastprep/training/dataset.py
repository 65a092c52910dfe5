"""Windows of a token sequence as a dataset for torch.

Nothing is cut beforehand: a window is found by arithmetic, and a batch is one copy out of the
tokens, widened on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from fastprep.errors import IdOutOfRange, InvalidWindow, TextTooShort
from fastprep.training.batch import IGNORED_TARGET, BatchForm, Sample, Windows
from fastprep.windows.mixture import Mixture
from fastprep.windows.packing import (
    DocumentParts,
    PackedRows,
    checked_ends,
    cut_documents,
    pack_documents,
)
from fastprep.windows.sliding import checked_size, window_starts
from fastprep.windows.tokens import Tokens, TokenSource
from fastprep_ext.windows import BatchMaker, DocumentEnds, GatheredRows, Order

Layout: TypeAlias = Literal["sliding", "documents", "packed"]


class WindowDataset(Dataset[Sample]):
    """Sliding windows over token ids, without a copy of them.

    Sample i is ``(input, target)``: the `max_length` ids from ``i * stride`` on, and those one
    place further on. Both are fresh tensors.

    Parameters
    ----------
    tokens
        a :class:`~fastprep.TokenStore` or the path of one, a memory map, an array, a CPU
        tensor (uint8, uint16, uint32, int32, int64), or a sequence of ints; or a
        :class:`~fastprep.Mixture` of such. Only a sequence of ints is copied. Windows run
        across the shards of a store.
    max_length
        ids in an input, L: the model's context.
    stride
        ids from the begin of a window to the begin of the next; `max_length` if not given, so
        that windows do not overlap.
    pad_last
        whether the ids that the full windows leave unpredicted make one window more, at the next
        multiple of the stride; it exists if there is at least one of them to predict. Its input
        is filled up with `pad_token`, and where there is nothing to predict its target is -100,
        which ``cross_entropy`` ignores. 25 ids in windows of 10 are then three windows, the last
        of 5 ids and 4 targets.
    pad_token
        the id that fills up inputs; 0, as every vocabulary has it. A causal model cannot see it
        from the places that have targets.
    layout
        "sliding" for windows over all documents; "documents" for windows that start where a
        document starts, the last one of each document padded; "packed" for whole documents packed
        into rows by best fit, as :mod:`fastprep.windows.packing` has it. The latter two read where all
        documents end when the dataset is made, and have no window across two documents.
    crop
        with "packed": drop what a document has beyond `max_length` + 1 tokens.
    position_ids, document_ids, cu_seqlens
        whether samples have them: places counted from the begin of the document in the window;
        the number of the document in its source, -1 for padding; and, of a whole batch only, the
        ends of pieces that attention kernels for variable length want. Samples are then dicts.
    mask_targets
        whether a target that is in another document than its input is -100; if not given, so
        where one of the three before is asked for.
    document_ends
        for tokens that are not in a store: where documents end, in tokens, ascending. For the ids
        in an array ``numpy.flatnonzero(ids == end_token) + 1``.
    dtype
        of inputs and targets: ``torch.int64``, ``torch.int32``, or "store" for that of the ids,
        which has no -100.
    vocab_size
        the model's vocabulary: an id that is not below it is an error, in the store's manifest
        at once, in the files when it is read.
    mmap
        False: read files with ``pread`` instead of mapping them.

    Attributes
    ----------
    num_tokens
        how many ids there are.
    starts
        the token at which each window begins: a range, or, where they are not regular, an array.
    packing
        for "documents" and "packed" the :class:`~fastprep.windows.packing.PackedRows` of each source,
        with their `utilisation` and `cropped` share; else empty.
    max_length, stride, pad_last, pad_token, layout, document_ends
        as given.

    Raises
    ------
    InvalidWindow
        for a wrong size, tokens of a wrong kind, a negative id, or options that do not go
        together. Ids in a file are looked at when they are read.
    TextTooShort
        if there is not one window: that takes ``max_length + 1`` ids, with `pad_last` 2.
    InvalidStore
        for a path that is no token store, and in use for a file that was cut meanwhile.
    IdOutOfRange
        for an id that is not below `vocab_size`.

    Notes
    -----
    A dataset of a store or of a memory map is pickled as a path, a few hundred bytes, and maps
    the file again in the process that unpickles it; so worker processes of any start method
    share one copy of the ids. ``__getitems__`` makes a whole batch in one call, which is how
    torch's DataLoader asks for it; ``len()`` and ``[i]`` are what Grain asks of a random-access
    source.

    Examples
    --------
    >>> dataset = WindowDataset(np.arange(100, 125, dtype=np.uint16), max_length=10, pad_last=True)
    >>> len(dataset)
    3
    >>> inputs, targets = dataset[2]
    >>> inputs
    tensor([120, 121, 122, 123, 124,   0,   0,   0,   0,   0])
    >>> targets
    tensor([ 121,  122,  123,  124, -100, -100, -100, -100, -100, -100])
    """

    def __init__(
        self,
        tokens: Tokens | Mixture,
        max_length: int,
        stride: int | None = None,
        *,
        pad_last: bool = False,
        pad_token: int = 0,
        layout: Layout = "sliding",
        crop: bool = False,
        position_ids: bool = False,
        document_ids: bool = False,
        cu_seqlens: bool = False,
        mask_targets: bool | None = None,
        document_ends: NDArray[Any] | Sequence[int] | None = None,
        dtype: torch.dtype | Literal["store"] = torch.int64,
        vocab_size: int | None = None,
        mmap: bool = True,
    ) -> None:
        self.max_length = checked_size("max_length", max_length)
        self.stride = self.max_length if stride is None else checked_size("stride", stride)
        self.pad_last = bool(pad_last)
        self.pad_token = pad_token if pad_token == 0 else checked_size("pad_token", pad_token)
        self.vocab_size = 0 if vocab_size is None else checked_size("vocab_size", vocab_size)
        if layout not in ("sliding", "documents", "packed"):
            raise InvalidWindow(
                f"layout must be 'sliding', 'documents' or 'packed'; found {layout!r}"
            )
        if layout == "packed" and self.stride != self.max_length:
            raise InvalidWindow("packed documents do not overlap; leave stride out")
        self.layout = layout
        self.crop = bool(crop)
        marked = position_ids or document_ids or cu_seqlens
        self.mask_targets = bool(marked if mask_targets is None else mask_targets)
        self.mixture = tokens if isinstance(tokens, Mixture) else None
        self._mmap = mmap
        self._sources = [
            TokenSource(source, mmap=mmap)
            for source in (tokens.sources if isinstance(tokens, Mixture) else (tokens,))
        ]
        self.num_tokens = sum(source.num_tokens for source in self._sources)
        self.document_ends = None
        if document_ends is not None:
            if len(self._sources) > 1:
                raise InvalidWindow("document_ends are of one source; a mixture needs stores")
            self.document_ends = checked_ends(document_ends, self.num_tokens)
        self.form = BatchForm(
            self.max_length,
            self._checked_dtype(dtype),
            bool(position_ids),
            bool(document_ids),
            bool(cu_seqlens),
        )
        self._check_vocabulary()
        self._build()

    def _checked_dtype(self, dtype: torch.dtype | str) -> np.dtype[Any]:
        known: dict[Any, np.dtype[Any]] = {
            torch.int64: np.dtype(np.int64),
            torch.int32: np.dtype(np.int32),
        }
        if isinstance(dtype, torch.dtype) and dtype in known:
            return known[dtype]
        if dtype != "store":
            raise InvalidWindow(f"dtype must be torch.int64, torch.int32 or 'store', not {dtype}")
        found: set[Any] = {source.dtype.newbyteorder("=") for source in self._sources}
        if len(found) > 1:
            raise InvalidWindow(
                f"the sources hold {', '.join(sorted(map(str, found)))}, so no one dtype is that "
                f"of the store; ask for torch.int64"
            )
        own: np.dtype[Any] = found.pop()
        fills = self.layout != "sliding" or self.mask_targets or self.pad_last
        if own.kind == "u" and fills:
            raise InvalidWindow(
                f"{own} has no place for the target -100; ask for torch.int32, or leave out "
                f"pad_last, marks of documents and mask_targets"
            )
        return own

    def _check_vocabulary(self) -> None:
        for source in self._sources if self.vocab_size else ():
            manifest = getattr(source.store, "manifest", None)
            for shard, record in enumerate(manifest.shards if manifest is not None else ()):
                if (record.max_id or 0) >= self.vocab_size:
                    raise IdOutOfRange(
                        f"{source.store}: shard {shard} has the id {record.max_id}, but "
                        f"vocab_size is {self.vocab_size}; check which tokenizer made the store"
                    )

    def _build(self) -> None:
        """What follows from the sources: windows, rows, and who makes batches of them."""
        rows, starts = [], []
        self.packing: tuple[PackedRows, ...] = ()
        for source in self._sources:
            needs_ends = self.layout != "sliding" or self.mask_targets or not self.form.is_plain
            parts = self._document_parts(source) if needs_ends else None
            packed = None
            if self.layout == "sliding":
                begins: Any = window_starts(
                    source.num_tokens, self.max_length, self.stride, pad_last=self.pad_last
                )
            else:
                packed = (
                    pack_documents(parts or (), self.max_length, crop=self.crop)
                    if self.layout == "packed"
                    else cut_documents(parts or (), self.max_length, self.stride)
                )
                self.packing += (packed,)
                begins = packed.starts[packed.first[:-1]]
            if not len(begins):
                raise self._too_short(source)
            starts.append(begins)
            rows.append(
                GatheredRows(
                    source.core,
                    len(begins),
                    self.stride,
                    segments=None if packed is None else packed.segments,
                    ends=None if parts is None else DocumentEnds(parts),
                    describe=source.describe,
                )
            )
        self.sizes = [len(begins) for begins in starts]
        self.starts = starts[0] if len(starts) == 1 else np.concatenate(starts)
        self._indices = range(sum(self.sizes))
        out: Any = self.form.dtype.name
        self.maker = BatchMaker(
            rows,
            self.max_length,
            out=out if out in ("int64", "int32") else "same",
            input_fill=self.pad_token,
            target_fill=IGNORED_TARGET,
            mask=self.mask_targets,
            vocab_size=self.vocab_size,
        )

    def _document_parts(self, source: TokenSource) -> DocumentParts:
        if self.document_ends is not None:
            return [(source.num_tokens, self.document_ends)]
        store: Any = source.store
        if not hasattr(store, "shard_ends"):
            raise InvalidWindow(
                "nothing says where documents end in these tokens; pass document_ends, "
                "or a token store"
            )
        return list(zip(store.shard_sizes, store.shard_ends, strict=True))

    def _too_short(self, source: TokenSource) -> TextTooShort:
        if self.layout != "sliding":
            return TextTooShort("no document has two tokens, so there is nothing to predict")
        needed = 2 if self.pad_last else self.max_length + 1
        return TextTooShort(
            f"{source.num_tokens} tokens make no window of max_length {self.max_length}: that "
            f"takes {needed}, as the target is the input one place on; use more text"
            + ("" if self.pad_last else ", a smaller max_length, or pad_last=True")
        )

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Sample:
        return self.__getitems__((index,))[0]

    def __getitems__(self, indices: Sequence[int]) -> Windows:
        """Make the samples of `indices` in one pass; a negative index counts from the end.

        Returns
        -------
        Windows
            the batch, in the order of `indices`.

        Raises
        ------
        IndexError
            for an index that is no window.
        FastprepError
            as the class says.
        """
        if hasattr(indices, "tolist"):
            indices = indices.tolist()  # a range finds ten ints in the time of one numpy integer
        try:
            chosen = [self._indices[index] for index in indices]
        except IndexError:
            size = len(self)
            wrong = next(index for index in indices if not -size <= index < size)
            raise IndexError(
                f"window {wrong} of a dataset that has {size}, from 0 to {size - 1}"
            ) from None
        blank = self.form.blank(len(chosen))
        return blank.windows(*self.maker.make(chosen, blank.places))

    def order(self, *, shuffle: bool = True, seed: int = 0, epoch: int = 0) -> Order:
        """Give the order of an epoch: which window stands at which position.

        Examples
        --------
        >>> WindowDataset(range(50), 10).order(shuffle=False).take(range(4))
        [0, 1, 2, 3]
        """
        if self.mixture is None:
            return Order(self.sizes, seed=seed, epoch=epoch, shuffle=shuffle)
        return Order(
            self.sizes,
            splits=self.mixture.splits,
            length=self.mixture.num_windows,
            seed=seed,
            epoch=epoch,
            shuffle=shuffle,
        )

    def source_epochs(self, positions: int) -> list[float]:
        """How many times each source has been gone through after so many positions, in all epochs.

        Examples
        --------
        >>> WindowDataset(Mixture([(range(41), 1), (range(21), 1)]), 4).source_epochs(15)
        [0.7, 1.6]
        """
        counts = [positions] if self.mixture is None else self.mixture.counts(positions)
        return [count / size for count, size in zip(counts, self.sizes, strict=True)]

    @property
    def sources(self) -> tuple[TokenSource, ...]:
        """The tokens, one for each source of a mixture."""
        return tuple(self._sources)

    def __getstate__(self) -> dict[str, Any]:
        # What _build makes is made again: it holds addresses, or arrays as long as the corpus.
        made = ("maker", "starts", "packing", "sizes", "_indices")
        return {name: value for name, value in self.__dict__.items() if name not in made}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._build()

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.num_tokens} tokens, {len(self)} windows, "
            f"max_length={self.max_length}, stride={self.stride})"
        )
