"""A batch of windows: its tensors, its memory, and the sequence of its samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import default_collate
from typing_extensions import TypeVar

# The default ignore_index of cross_entropy: marks a place that has nothing to predict.
IGNORED_TARGET = -100

Sample: TypeAlias = "tuple[torch.Tensor, torch.Tensor] | dict[str, torch.Tensor] | torch.Tensor"
BatchTensors: TypeAlias = "list[torch.Tensor] | dict[str, Any] | torch.Tensor"
Outputs: TypeAlias = Literal["pair", "dict", "tokens"]
Pair: TypeAlias = "tuple[torch.Tensor, torch.Tensor]"
# The sample of a dataset and the batch of a loader, which their options choose.
SampleType = TypeVar("SampleType", default=Pair, covariant=True)
BatchType = TypeVar("BatchType", default="list[torch.Tensor]", covariant=True)
# Of inputs, targets, position ids, document ids, sequence lengths; 0 for a tensor not requested.
Addresses: TypeAlias = "tuple[int, int, int, int, int]"


class WindowBatch(Sequence[Sample]):
    """A batch of B windows that is also the sequence of its samples.

    A collate function that knows the class takes the whole batch, with nothing left to stack; any
    other, such as torch's ``default_collate``, finds a sequence of ``(input, target)``, or of
    dicts if there are document marks or `outputs` is "dict".

    Attributes
    ----------
    inputs, targets
        ``[B, L]``, contiguous, int64 unless another dtype was requested; both are in one block
        of memory. With `outputs` "dict", targets are labels.
    outputs
        "pair" or "dict"; see :class:`~fastprep.training.dataset.WindowDataset`.
    marks
        the document marks that were requested, by name, or None: ``position_ids`` and
        ``document_ids``, int64 ``[B, L]``; ``cu_seqlens``, int32 ``[pieces + 1]``, the cumulative
        lengths of the pieces of documents in the flattened batch, starting with 0; and
        ``max_seqlen``, the length of the longest piece as an int.

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

    __slots__ = ("inputs", "marks", "outputs", "targets")

    inputs: torch.Tensor
    targets: torch.Tensor
    marks: dict[str, Any] | None

    def __init__(
        self,
        inputs: torch.Tensor,
        targets: torch.Tensor,
        marks: dict[str, Any] | None = None,
        outputs: Outputs = "pair",
    ) -> None:
        self.inputs = inputs
        self.targets = targets
        self.marks = marks
        self.outputs = outputs

    def tensors(self) -> BatchTensors:
        """Return ``[inputs, targets]``, or a dict of all tensors."""
        return self._arrange(self.inputs, self.targets, self.marks)

    def __len__(self) -> int:
        return len(self.inputs)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> WindowBatch: ...
    def __getitem__(self, index: int | slice) -> Sample | WindowBatch:
        inputs, targets, marks = self.inputs[index], self.targets[index], self._row_marks(index)
        if isinstance(index, slice):
            return WindowBatch(inputs, targets, marks, self.outputs)
        sample: Any = self._arrange(inputs, targets, marks)
        return tuple(sample) if isinstance(sample, list) else sample

    def __iter__(self) -> Iterator[Sample]:
        if self.outputs == "pair" and self.marks is None:
            return zip(self.inputs.unbind(), self.targets.unbind(), strict=True)
        return map(self.__getitem__, range(len(self)))

    def _arrange(self, inputs: torch.Tensor, targets: torch.Tensor, marks: Any) -> BatchTensors:
        if self.outputs == "dict":
            return {"input_ids": inputs, "labels": targets, **(marks or {})}
        return (
            [inputs, targets] if marks is None else {"inputs": inputs, "targets": targets, **marks}
        )

    def __repr__(self) -> str:
        return f"WindowBatch(inputs={self.inputs!r}, targets={self.targets!r})"

    def _row_marks(self, index: int | slice) -> Any:
        """Return the marks of some rows, without those of the whole batch."""
        if self.marks is None:
            return None
        return {name: self.marks[name][index] for name in _ROW_MARKS if name in self.marks}


_ROW_MARKS = ("position_ids", "document_ids")


class TokenBatch(list[torch.Tensor]):
    """A batch of `outputs` "tokens": a list of B rows ``[L + 1]`` that is also one tensor.

    It is a list because torch's ``default_collate`` stacks tensors in lists and tuples only.
    """

    def __init__(self, tokens: torch.Tensor) -> None:
        super().__init__(tokens.unbind())
        self._tokens = tokens

    def tensors(self) -> torch.Tensor:
        """Return the rows as one tensor ``[B, L + 1]``, without a copy."""
        return self._tokens


def collate_windows(samples: WindowBatch | TokenBatch | list[Any]) -> BatchTensors:
    """Collate samples into a batch: ``[inputs, targets]``, each ``[B, L]`` and contiguous.

    Use it as the `collate_fn` of a DataLoader of your own.

    Parameters
    ----------
    samples
        a :class:`WindowBatch`, whose tensors are returned as they are; for anything else this is
        torch's ``default_collate``.

    Returns
    -------
    list of torch.Tensor, or dict, or torch.Tensor
        ``[inputs, targets]``, int64 ``[B, L]`` unless the dataset has another dtype; a dict of all
        tensors if the dataset has document marks; what `outputs` of the dataset says if it is set.

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
    if isinstance(samples, WindowBatch | TokenBatch):
        return samples.tensors()
    batch: BatchTensors = default_collate(samples)
    return batch


class BatchFormat(NamedTuple):
    """The tensors of a batch.

    Attributes
    ----------
    length
        L.
    dtype
        of inputs and targets.
    position_ids, document_ids, cu_seqlens
        whether they are requested.
    outputs
        the form of a batch; see :class:`~fastprep.training.dataset.WindowDataset`.
    """

    length: int
    dtype: np.dtype[Any]
    position_ids: bool = False
    document_ids: bool = False
    cu_seqlens: bool = False
    outputs: Outputs = "pair"

    @property
    def is_plain(self) -> bool:
        """True if a batch has inputs and targets only."""
        return not (self.position_ids or self.document_ids or self.cu_seqlens)

    def allocate(self, rows: int, *, pinned: bool = False) -> BatchBuffers:
        """Allocate the memory of a batch of `rows` rows, page-locked if `pinned`."""
        # One block for both, so that a worker process sends one piece of shared memory instead of
        # two: half the time per batch.
        size = rows * self.row_width
        # Labels are the targets one place later: the same memory, from one place earlier on.
        shift = 1 if self.outputs == "dict" else 0
        shape: tuple[int, ...] = (2 * size + shift,) if shift else (2, rows, self.row_width)
        ids = _empty(shape, self.dtype, pinned)
        address = _address(ids)
        targets_address = address + (size + shift) * self.dtype.itemsize
        marks: dict[str, Any] = {}
        addresses = [0, 0, 0]
        for k, name in enumerate((*_ROW_MARKS, "cu_seqlens")):
            if getattr(self, name):
                per_row = name != "cu_seqlens"
                shape = (rows, self.length) if per_row else (rows * self.length + 1,)
                marks[name] = _empty(shape, np.dtype(np.int64 if per_row else np.int32), pinned)
                addresses[k] = _address(marks[name])
        return BatchBuffers(ids, marks, (address, targets_address, *addresses), self)  # type: ignore[arg-type]

    def columns(self, ids: Any) -> list[Any]:
        """Return the parts of a block of memory that are in the batch, as views."""
        if self.outputs == "pair":
            return [*ids]
        if self.outputs == "tokens":
            return [ids[0]]
        return [*ids[:-1].reshape(2, -1, self.length)]

    @property
    def row_width(self) -> int:
        """The number of places per row that the compiled core fills: with "tokens" one more."""
        return self.length + (self.outputs == "tokens")


class BatchBuffers(NamedTuple):
    """The uninitialized memory of a batch.

    Attributes
    ----------
    ids
        one block: inputs, then targets.
    marks
        the memory of each requested mark, by name.
    addresses
        where the compiled core writes.
    form
        the form of the batch.
    """

    ids: Any
    marks: dict[str, Any]
    addresses: Addresses
    form: BatchFormat

    def to_batch(self, num_seqlens: int, longest: int) -> WindowBatch | TokenBatch:
        """Return the batch, after the compiled core has filled the memory."""
        outputs = self.form.outputs
        columns = self.form.columns(_tensor(self.ids))
        if outputs == "tokens":
            return TokenBatch(columns[0])
        inputs, targets = columns
        if outputs == "dict":
            targets[:, 0] = IGNORED_TARGET
        if not self.marks:
            return WindowBatch(inputs, targets, None, outputs)
        marks: dict[str, Any] = {name: _tensor(memory) for name, memory in self.marks.items()}
        if "cu_seqlens" in marks:
            marks["cu_seqlens"] = marks["cu_seqlens"][: num_seqlens + 1]
            marks["max_seqlen"] = longest
        return WindowBatch(inputs, targets, marks, outputs)


def _empty(shape: tuple[int, ...], dtype: np.dtype[Any], pinned: bool) -> Any:
    # By numpy where possible: torch.empty takes 2 microseconds more.
    if pinned:
        return torch.empty(shape, dtype=getattr(torch, dtype.name), pin_memory=True)
    return np.empty(shape, dtype)


def _address(memory: Any) -> int:
    return memory.data_ptr() if isinstance(memory, torch.Tensor) else int(memory.ctypes.data)


def _tensor(memory: NDArray[Any] | torch.Tensor) -> torch.Tensor:
    return memory if isinstance(memory, torch.Tensor) else torch.from_numpy(memory)
