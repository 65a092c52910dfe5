"""A torch dataset of windows over a token sequence.

Nothing is cut beforehand: the position of a window is computed, and a batch is one copy out of the
tokens, widened on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypedDict, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from fastprep.errors import IdOutOfRange, InvalidWindow, TextTooShort
from fastprep.store.reader import TokenStore
from fastprep.system.arguments import whole_number
from fastprep.training.batch import (
    IGNORED_TARGET,
    BatchFormat,
    Outputs,
    Pair,
    Sample,
    SampleType,
    TokenBatch,
    WindowBatch,
)
from fastprep.windows import blocks
from fastprep.windows.blocks import BlockRows
from fastprep.windows.mixture import Mixture
from fastprep.windows.packing import (
    DocumentParts,
    PackedRows,
    checked_ends,
    cut_documents,
    fill_documents,
    pack_documents,
)
from fastprep.windows.sliding import MAX_STRIDE, checked_size, window_starts
from fastprep.windows.tokens import Tokens, TokenSource
from fastprep_ext.windows import BatchMaker, DocumentEnds, GatheredRows, Order

if TYPE_CHECKING:
    from typing_extensions import Unpack

Layout: TypeAlias = Literal["sliding", "documents", "packed", "filled"]


_MAX_VOCABULARY = 1 << 62


if TYPE_CHECKING:

    class _MoreOptions(TypedDict, total=False):
        """The options of a dataset that do not change the type of its samples."""

        pad_last: bool
        pad_token: int
        layout: Layout
        crop: bool
        mask_targets: bool | None
        document_ends: NDArray[np.integer[Any]] | Sequence[int] | None
        dtype: torch.dtype | Literal["store"]
        loss_mask: bool | None
        vocab_size: int | None
        mmap: bool | None


class WindowDataset(Dataset[SampleType], Generic[SampleType]):
    """A dataset of windows over token ids, without a copy of the ids.

    Type checkers know a sample by the options: `outputs`, and whether document marks are asked for.

    Sample i is ``(input, target)``, each ``[L]``: the L = `max_length` ids from position
    ``i * stride``, and those one position later. Both are fresh tensors.

    Parameters
    ----------
    tokens
        a :class:`~fastprep.TokenStore` or its path, a memory map, an array, a CPU tensor
        (``[num_tokens]``; uint8, uint16, uint32, int32, int64), or a sequence of ints; or a
        :class:`~fastprep.Mixture` of such. Only a sequence of ints is copied. Windows run
        across the shards of a store.
    max_length
        ids per input, L: the model's context length.
    stride
        ids from the start of a window to the start of the next; `max_length` by default, so that
        windows do not overlap.
    pad_last
        whether the ids that no full window predicts make one more window, at the next multiple of
        the stride; it exists if there is at least one id to predict. Its input is filled up with
        `pad_token`, and where there is nothing to predict its target is -100, which
        ``cross_entropy`` ignores. 25 ids in windows of 10 are then three windows, the last of
        5 ids and 4 targets.
    pad_token
        the id that fills up inputs; by default 0, which every vocabulary has. A causal model
        cannot attend to it from the positions that have targets.
    layout
        "sliding" for windows over all documents; "documents" for windows that start where a
        document starts, the last one of each document padded; "packed" for whole documents packed
        into rows by best fit, as in :mod:`fastprep.windows.packing`; "filled" for rows of `max_length`
        + 1 tokens without padding, each from a document's start on, in which the last document is
        cut, as nanochat packs them. The latter three read all document ends when the dataset is
        made, and all but "filled" have no window across two documents.
    crop
        with "packed": drop everything of a document beyond its first `max_length` + 1 tokens.
    position_ids, document_ids, cu_seqlens
        document marks to add to samples, which are then dicts: the position counted from the
        start of the document in the window, int64 ``[L]``; the index of the document in its
        source, -1 for padding, int64 ``[L]``; and, of a whole batch only, the cumulative lengths
        that attention kernels for variable length take, int32 ``[pieces + 1]``.
    mask_targets
        whether a target in another document than its input is -100; by default only if one of
        the three document marks is requested.
    document_ends
        for tokens that are not in a store: the end of each document, in tokens, ascending. For ids
        in an array: ``numpy.flatnonzero(ids == end_token) + 1``.
    dtype
        of inputs and targets: ``torch.int64``, ``torch.int32``, or "store" for the dtype of the
        ids, which has no -100 if it is unsigned.
    outputs
        the form of a sample, and of a batch: "pair" for ``(input, target)``; "dict" for
        ``{"input_ids": input, "labels": labels}``, where labels are what models of transformers
        take: not shifted, so label i is the target of input i - 1, and label 0 is -100; "tokens" for
        one tensor of `max_length` + 1 ids, of which all but the last are the input and all but the
        first the target. It has no place for -100, so it excludes padding and document marks.
    loss_mask
        whether targets that the assistant did not write are -100: those of stores that were made of
        conversations (``prepare(..., messages=...)``), which record it. By default they are in each
        source that records it; True requires that of all sources, False ignores it.
    vocab_size
        the model's vocabulary size: an id not below it is an error, raised at once if the store's
        manifest records it, otherwise when it is read.
    mmap
        True: map files; False: read them with ``pread``. By default a store is mapped unless it is
        on a network file system or has more than 4,096 shards
        (:class:`~fastprep.windows.tokens.TokenSource`). The batches are the same.

    Attributes
    ----------
    num_tokens
        number of ids.
    starts
        the token at which each window starts: a range, or an array where they are not regular; empty
        where rows are planned by blocks.
    packing
        for layouts other than "sliding" the :class:`~fastprep.windows.packing.PackedRows` or
        :class:`~fastprep.windows.blocks.BlockRows` of each source, with the fractions `utilisation`
        and `cropped`; otherwise empty.
    max_length, stride, pad_last, pad_token, layout, document_ends, outputs
        as given.

    Raises
    ------
    InvalidWindow
        for a wrong size, tokens of a wrong kind, a negative id, or options that exclude each
        other. Ids in a file are checked when they are read.
    TextTooShort
        if there is not one window: that takes ``max_length + 1`` ids, with `pad_last` 2.
    InvalidStore
        for a path that is not a token store, and during use for a file that was truncated.
    IdOutOfRange
        for an id that is not below `vocab_size`.

    Notes
    -----
    A dataset of a store or of a memory map is pickled as a path, a few hundred bytes, and maps
    the file again in the process that unpickles it, so worker processes of any start method
    share one copy of the ids. ``__getitems__`` makes a whole batch in one call, as torch's
    DataLoader requests it; ``len()`` and ``[i]`` are what Grain needs of a random-access source.

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

    max_length: int
    stride: int
    pad_last: bool
    pad_token: int
    vocab_size: int
    layout: Layout
    crop: bool
    mask_targets: bool
    loss_mask: bool
    mixture: Mixture | None
    num_tokens: int
    document_ends: NDArray[np.uint64] | None
    format: BatchFormat
    sizes: list[int]
    starts: range | NDArray[np.int64]
    maker: BatchMaker

    @overload
    def __init__(
        self: WindowDataset[Pair],
        tokens: Tokens | Mixture,
        max_length: int,
        stride: int | None = ...,
        *,
        outputs: Literal["pair"] = ...,
        position_ids: Literal[False] = ...,
        document_ids: Literal[False] = ...,
        cu_seqlens: Literal[False] = ...,
        **options: Unpack[_MoreOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: WindowDataset[torch.Tensor],
        tokens: Tokens | Mixture,
        max_length: int,
        stride: int | None = ...,
        *,
        outputs: Literal["tokens"],
        **options: Unpack[_MoreOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: WindowDataset[dict[str, torch.Tensor]],
        tokens: Tokens | Mixture,
        max_length: int,
        stride: int | None = ...,
        *,
        outputs: Literal["pair", "dict"] = ...,
        position_ids: bool = ...,
        document_ids: bool = ...,
        cu_seqlens: bool = ...,
        **options: Unpack[_MoreOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: WindowDataset[Sample],
        tokens: Tokens | Mixture,
        max_length: int,
        stride: int | None = ...,
        *,
        outputs: Outputs,
        position_ids: bool = ...,
        document_ids: bool = ...,
        cu_seqlens: bool = ...,
        **options: Unpack[_MoreOptions],
    ) -> None: ...
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
        loss_mask: bool | None = None,
        document_ends: NDArray[np.integer[Any]] | Sequence[int] | None = None,
        dtype: torch.dtype | Literal["store"] = torch.int64,
        outputs: Outputs = "pair",
        vocab_size: int | None = None,
        mmap: bool | None = None,
    ) -> None:
        self.max_length = checked_size("max_length", max_length)
        self.stride = (
            self.max_length if stride is None else checked_size("stride", stride, MAX_STRIDE)
        )
        self.pad_last = bool(pad_last)
        self.vocab_size = (
            0 if vocab_size is None else checked_size("vocab_size", vocab_size, _MAX_VOCABULARY)
        )
        if layout not in ("sliding", "documents", "packed", "filled"):
            raise InvalidWindow(
                f"layout must be 'sliding', 'documents', 'packed' or 'filled'; found {layout!r}"
            )
        if layout in ("packed", "filled") and self.stride != self.max_length:
            raise InvalidWindow(f"{layout} documents do not overlap; leave stride out")
        self.layout = layout
        self.crop = bool(crop)
        marked = position_ids or document_ids or cu_seqlens
        self.mask_targets = bool(marked if mask_targets is None else mask_targets)
        if outputs not in ("pair", "dict", "tokens"):
            raise InvalidWindow(f"outputs must be 'pair', 'dict' or 'tokens'; found {outputs!r}")
        self.outputs = outputs
        self.mixture = tokens.in_windows(self.max_length) if isinstance(tokens, Mixture) else None
        self._mmap = mmap
        self._sources = [
            TokenSource(source, mmap=mmap)
            for source in (tokens.sources if isinstance(tokens, Mixture) else (tokens,))
        ]
        self.loss_mask = self._checked_mask(loss_mask)
        if outputs == "tokens" and (
            self.pad_last
            or self.mask_targets
            or self.loss_mask
            or marked
            or layout in ("documents", "packed")
        ):
            raise InvalidWindow(
                "outputs='tokens' has no place for targets of -100; pass 'pair' or 'dict', or "
                "leave out pad_last, document marks, mask_targets, and the layouts 'documents' "
                "and 'packed', and of conversations pass loss_mask=False"
            )
        self.num_tokens = sum(source.num_tokens for source in self._sources)
        self.document_ends = None
        if document_ends is not None:
            if len(self._sources) > 1:
                raise InvalidWindow(
                    "document_ends belong to one source; make each source of the mixture a store"
                )
            self.document_ends = checked_ends(document_ends, self.num_tokens)
        self.format = BatchFormat(
            self.max_length,
            self._checked_dtype(dtype),
            bool(position_ids),
            bool(document_ids),
            bool(cu_seqlens),
            outputs,
        )
        largest = int(np.iinfo(self.format.dtype).max)
        self.pad_token = whole_number(pad_token, "pad_token", 0, largest, InvalidWindow)
        self._check_vocabulary()
        self._build()

    def _checked_mask(self, loss_mask: bool | None) -> bool:
        """Return whether a source has a mask that is to be used."""
        masked = [bool(getattr(source.store, "has_mask", False)) for source in self._sources]
        if loss_mask is not None and loss_mask is not True and loss_mask is not False:
            raise InvalidWindow(f"loss_mask is {loss_mask!r:.80}; pass True, False or None")
        if loss_mask and not all(masked):
            store = self._sources[masked.index(False)].store
            raise InvalidWindow(
                f"loss_mask=True, but {store or 'a source of ids in memory'} does not record "
                "which tokens the assistant wrote; make it with prepare(..., messages=...), or leave "
                "loss_mask out"
            )
        return any(masked) and loss_mask is not False

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
                f"the sources hold {', '.join(sorted(map(str, found)))}, so dtype='store' has no one "
                f"meaning; pass torch.int64"
            )
        own: np.dtype[Any] = found.pop()
        has_ignored_targets = (
            self.layout in ("documents", "packed")
            or self.mask_targets
            or self.loss_mask
            or self.pad_last
            or self.outputs == "dict"
        )
        if own.kind == "u" and has_ignored_targets:
            raise InvalidWindow(
                f"{own} cannot hold the target -100; pass torch.int32, or leave out pad_last, "
                f"document marks, mask_targets and outputs='dict', and of conversations pass "
                f"loss_mask=False"
            )
        return own

    def _check_vocabulary(self) -> None:
        for source in self._sources if self.vocab_size else ():
            for shard, largest in enumerate(source.max_ids):
                if largest >= self.vocab_size:
                    raise IdOutOfRange(
                        f"{source.store}: shard {shard} has the id {largest}, but "
                        f"vocab_size is {self.vocab_size}; check which tokenizer made the store"
                    )

    def _build(self) -> None:
        """Compute the windows of the sources, and make the compiled object that reads them."""
        rows, starts = [], []
        self.packing: tuple[PackedRows | BlockRows, ...] = ()
        self._chunks: list[int] = []
        for source in self._sources:
            in_blocks = self._rows_in_blocks(source)
            self._chunks.append(0 if in_blocks is None else in_blocks.rows_per_chunk)
            if in_blocks is not None:
                if not len(in_blocks):
                    raise self._too_short(source)
                self.packing += (in_blocks,)
                starts.append(range(len(in_blocks)))
                rows.append(
                    GatheredRows(
                        source.core,
                        len(in_blocks),
                        self.stride,
                        mask=source.mask() if self.loss_mask else None,
                        describe=source.describe,
                        blocks=(in_blocks.row_starts, in_blocks.plan),
                    )
                )
                continue
            needs_ends = self.layout != "sliding" or self.mask_targets or not self.format.is_plain
            parts = self._document_parts(source) if self.layout != "sliding" else ()
            packed = None
            if self.layout == "sliding":
                first_tokens: Any = window_starts(
                    source.num_tokens, self.max_length, self.stride, pad_last=self.pad_last
                )
            else:
                if self.layout == "packed":
                    packed = pack_documents(parts, self.max_length, crop=self.crop)
                elif self.layout == "filled":
                    packed = fill_documents(parts, self.max_length)
                else:
                    packed = cut_documents(parts, self.max_length, self.stride)
                self.packing += (packed,)
                first_tokens = packed.starts[packed.first[:-1]]
            if not len(first_tokens):
                raise self._too_short(source)
            starts.append(first_tokens)
            rows.append(
                GatheredRows(
                    source.core,
                    len(first_tokens),
                    self.stride,
                    segments=None if packed is None else packed.segments,
                    joined=self.layout == "filled",
                    ends=self._document_ends(source) if needs_ends else None,
                    mask=source.mask() if self.loss_mask else None,
                    describe=source.describe,
                )
            )
        self.sizes = [len(first_tokens) for first_tokens in starts]
        if any(self._chunks):
            self.starts = range(0)
        else:
            self.starts = starts[0] if len(starts) == 1 else np.concatenate(starts)
        self._indices = range(sum(self.sizes))
        out: Any = self.format.dtype.name
        self.maker = BatchMaker(
            rows,
            self.format.row_width,
            out=out if out in ("int64", "int32") else "same",
            input_fill=self.pad_token,
            target_fill=IGNORED_TARGET,
            mask=self.mask_targets,
            vocab_size=self.vocab_size,
        )

    def _rows_in_blocks(self, source: TokenSource) -> BlockRows | None:
        """Return the packed rows of a store of many documents, which are planned as they are used."""
        store = source.store
        if (
            self.layout != "packed"
            or self.crop
            or self.document_ends is not None
            or not isinstance(store, TokenStore)
            or store.eot_token is None  # else a document may be empty
            or store.num_documents <= blocks.MAX_WHOLE
        ):
            return None
        return BlockRows(store, self.max_length)

    def _document_parts(self, source: TokenSource) -> DocumentParts:
        if self.document_ends is not None:
            return [(source.num_tokens, self.document_ends)]
        parts = source.document_parts()
        if parts is None:
            raise InvalidWindow(
                "these tokens do not record where documents end; pass document_ends, or a token store"
            )
        return parts

    def _document_ends(self, source: TokenSource) -> DocumentEnds:
        found = None if self.document_ends is not None else source.document_ends()
        return DocumentEnds(self._document_parts(source)) if found is None else found

    def _too_short(self, source: TokenSource) -> TextTooShort:
        if self.layout == "filled":
            return TextTooShort(
                f"the documents make no row of {self.max_length + 1} tokens; use more text, a "
                "smaller max_length, or the layout 'packed'"
            )
        if self.layout != "sliding":
            return TextTooShort("no document has two tokens, so there is nothing to predict")
        needed = 2 if self.pad_last else self.max_length + 1
        return TextTooShort(
            f"{source.num_tokens} tokens make no window of max_length {self.max_length}: that "
            f"takes {needed}, since the target is the input shifted by one; use more text"
            + ("" if self.pad_last else ", a smaller max_length, or pad_last=True")
        )

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> SampleType:
        sample: Any = self.__getitems__((index,))[0]
        return sample  # type: ignore[no-any-return]

    def __getitems__(self, indices: Sequence[int]) -> WindowBatch | TokenBatch:
        """Return the samples of `indices` in one pass; a negative index counts from the end.

        Returns
        -------
        WindowBatch
            the batch, in the order of `indices`; a list of tensors if `outputs` is "tokens".

        Raises
        ------
        IndexError
            for an index that is out of range.
        FastprepError
            see the class.
        """
        if hasattr(indices, "tolist"):
            indices = (
                indices.tolist()
            )  # indexing a range is 10 times as fast with an int as with a numpy integer
        try:
            chosen = [self._indices[index] for index in indices]
        except IndexError:
            size = len(self)
            wrong = next(index for index in indices if not -size <= index < size)
            raise IndexError(
                f"window {wrong} of a dataset that has {size}, from 0 to {size - 1}"
            ) from None
        buffers = self.format.allocate(len(chosen))
        return buffers.to_batch(*self.maker.make(chosen, buffers.addresses))

    def order(
        self,
        *,
        shuffle: bool = True,
        seed: int = 0,
        epoch: int = 0,
        block: int = 0,
        group: int = 1,
    ) -> Order:
        """Return the order of an epoch: the index of the window at each position.

        With `block`, blocks of so many windows are shuffled, and then the windows of each `group` of
        them.

        Examples
        --------
        >>> WindowDataset(range(50), 10).order(shuffle=False).take(range(4))
        [0, 1, 2, 3]
        """
        mixture = self.mixture
        return Order(
            self.sizes,
            phases=() if mixture is None else mixture.phases,
            length=None if mixture is None else mixture.num_windows,
            seed=seed,
            epoch=epoch,
            shuffle=shuffle,
            block=block,
            group=group,
            chunks=self._chunks,
            mixed=blocks.MIXED,
        )

    def source_epochs(self, positions: int) -> list[float]:
        """Return how many epochs of each source the first `positions` windows of all epochs are.

        Examples
        --------
        >>> WindowDataset(Mixture([(range(41), 1), (range(21), 1)]), 4).source_epochs(15)
        [0.7, 1.6]
        """
        counts = [positions] if self.mixture is None else self.mixture.counts(positions)
        return [count / size for count, size in zip(counts, self.sizes, strict=True)]

    @property
    def sources(self) -> tuple[TokenSource, ...]:
        """The token sources: one, or those of the mixture."""
        return tuple(self._sources)

    def __getstate__(self) -> dict[str, Any]:
        # _build computes these again: they hold addresses, or arrays as long as the corpus.
        derived = ("maker", "starts", "packing", "sizes", "_indices", "_chunks")
        return {name: value for name, value in self.__dict__.items() if name not in derived}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._build()

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.num_tokens} tokens, {len(self)} windows, "
            f"max_length={self.max_length}, stride={self.stride})"
        )

    def _repr_html_(self) -> str:
        from fastprep.encoding.shown import facts_html

        return facts_html(type(self).__name__, self._facts())

    def _facts(self) -> list[tuple[str, object]]:
        sources = ", ".join(str(source.store or "ids in memory") for source in self._sources)
        return [
            ("tokens", self.num_tokens),
            ("windows", len(self)),
            ("max_length", self.max_length),
            ("stride", self.stride),
            ("layout", self.layout),
            ("sample", f"{self.outputs} of {self.format.dtype.name}"),
            ("sources", sources),
        ]
