"""What a batch is: its tensors, the memory they lie in, and the sequence of its samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import default_collate

# What cross_entropy ignores unless told otherwise: a place where there is nothing to predict.
IGNORED_TARGET = -100

Sample: TypeAlias = "tuple[torch.Tensor, torch.Tensor] | dict[str, torch.Tensor]"
Batch: TypeAlias = "list[torch.Tensor] | dict[str, Any]"
# Addresses of inputs, targets, position ids, document ids, sequence lengths; 0 where not wanted.
Places: TypeAlias = "tuple[int, int, int, int, int]"


class Windows(Sequence[Sample]):
    """A batch that is also the sequence of its samples.

    A collate function that knows it takes the whole batch, with nothing left to stack; any other,
    such as torch's ``default_collate``, finds a sequence of ``(input, target)``, or of dicts where
    there are marks of documents.

    Attributes
    ----------
    inputs, targets
        ``[B, L]``, contiguous, int64 unless another type was asked for; both lie in one block of
        memory.
    marks
        a dict of what else was asked for: ``position_ids`` and ``document_ids``, int64
        ``[B, L]``; ``cu_seqlens``, int32, where each piece of a document ends in the flattened
        batch, with a 0 before them, and ``max_seqlen``, the size of the longest as an int.

    Examples
    --------
    >>> from fastprep.training.dataset import WindowDataset
    >>> batch = WindowDataset([5, 6, 7, 8], max_length=2, stride=1).__getitems__([0, 1])
    >>> batch.targets
    tensor([[6, 7],
            [7, 8]])
    >>> batch[1]
    (tensor([6, 7]), tensor([7, 8]))
    """

    __slots__ = ("inputs", "marks", "targets")

    def __init__(
        self,
        inputs: torch.Tensor,
        targets: torch.Tensor,
        marks: dict[str, Any] | None = None,
    ) -> None:
        self.inputs = inputs
        self.targets = targets
        self.marks = marks

    def batch(self) -> Batch:
        """Give ``[inputs, targets]``, or a dict of all tensors where there are marks."""
        if self.marks is None:
            return [self.inputs, self.targets]
        return {"inputs": self.inputs, "targets": self.targets, **self.marks}

    def __len__(self) -> int:
        return len(self.inputs)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Windows: ...
    def __getitem__(self, index: int | slice) -> Sample | Windows:
        if isinstance(index, slice):
            return Windows(self.inputs[index], self.targets[index], self._rows(index))
        if self.marks is None:
            return self.inputs[index], self.targets[index]
        return {"inputs": self.inputs[index], "targets": self.targets[index], **self._rows(index)}

    def __iter__(self) -> Iterator[Sample]:
        if self.marks is None:
            return zip(self.inputs.unbind(), self.targets.unbind(), strict=True)
        return map(self.__getitem__, range(len(self)))

    def __repr__(self) -> str:
        return f"Windows(inputs={self.inputs!r}, targets={self.targets!r})"

    def _rows(self, index: int | slice) -> Any:
        """The marks of some rows: those that have rows."""
        if self.marks is None:
            return None
        return {name: self.marks[name][index] for name in _ROW_MARKS if name in self.marks}


_ROW_MARKS = ("position_ids", "document_ids")


def collate_windows(samples: Any) -> Batch:
    """Make a batch of samples: ``[inputs, targets]``, ``[B, L]`` each, contiguous.

    A :class:`Windows` is a batch already and handed on; for anything else this is torch's
    ``default_collate``. Use it as the `collate_fn` of a DataLoader of your own.

    Examples
    --------
    >>> from torch.utils.data import DataLoader
    >>> from fastprep.training.dataset import WindowDataset
    >>> dataset = WindowDataset([5, 6, 7, 8], max_length=2, stride=1)
    >>> loader = DataLoader(dataset, batch_size=2, collate_fn=collate_windows)
    >>> next(iter(loader))
    [tensor([[5, 6],
            [6, 7]]), tensor([[6, 7],
            [7, 8]])]
    """
    if isinstance(samples, Windows):
        return samples.batch()
    batch: Batch = default_collate(samples)
    return batch


class BatchForm(NamedTuple):
    """Which tensors a batch has.

    Attributes
    ----------
    length
        L.
    dtype
        of inputs and targets.
    position_ids, document_ids, cu_seqlens
        whether they are wanted.
    """

    length: int
    dtype: np.dtype[Any]
    position_ids: bool = False
    document_ids: bool = False
    cu_seqlens: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether a batch is inputs and targets alone."""
        return not (self.position_ids or self.document_ids or self.cu_seqlens)

    def blank(self, rows: int, *, pinned: bool = False) -> Blank:
        """Make the memory of a batch of `rows` rows, pinned for the copy to a GPU or not."""
        # One block, as a worker process then sends one piece of shared memory, not two: half the
        # time a batch.
        ids = _memory((2, rows, self.length), self.dtype, pinned)
        size = rows * self.length * self.dtype.itemsize
        place = _address(ids)
        marks: dict[str, Any] = {}
        places = [0, 0, 0]
        for k, name in enumerate((*_ROW_MARKS, "cu_seqlens")):
            if getattr(self, name):
                rowwise = name != "cu_seqlens"
                shape = (rows, self.length) if rowwise else (rows * self.length + 1,)
                marks[name] = _memory(shape, np.dtype(np.int64 if rowwise else np.int32), pinned)
                places[k] = _address(marks[name])
        return Blank(ids, marks, (place, place + size, *places))  # type: ignore[arg-type]


class Blank(NamedTuple):
    """The memory of a batch, to be filled.

    Attributes
    ----------
    ids
        ``[2, B, L]``: inputs, then targets.
    marks
        the memory of each mark that is wanted.
    places
        the addresses that the compiled core writes to.
    """

    ids: NDArray[Any] | torch.Tensor
    marks: dict[str, Any]
    places: Places

    def windows(self, num_seqlens: int, longest: int) -> Windows:
        """Give the batch, once its memory is filled."""
        inputs, targets = _tensor(self.ids).unbind()
        if not self.marks:
            return Windows(inputs, targets)
        marks: dict[str, Any] = {name: _tensor(memory) for name, memory in self.marks.items()}
        if "cu_seqlens" in marks:
            marks["cu_seqlens"] = marks["cu_seqlens"][: num_seqlens + 1]
            marks["max_seqlen"] = longest
        return Windows(inputs, targets, marks)


def _memory(shape: tuple[int, ...], dtype: np.dtype[Any], pinned: bool) -> Any:
    # By numpy where that will do: torch.empty takes 2 microseconds more.
    if pinned:
        return torch.empty(shape, dtype=getattr(torch, dtype.name), pin_memory=True)
    return np.empty(shape, dtype)


def _address(memory: Any) -> int:
    return memory.data_ptr() if isinstance(memory, torch.Tensor) else int(memory.ctypes.data)


def _tensor(memory: NDArray[Any] | torch.Tensor) -> torch.Tensor:
    return memory if isinstance(memory, torch.Tensor) else torch.from_numpy(memory)
