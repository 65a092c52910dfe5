"""One long sequence of token ids, wherever it lies: in memory, in a mapped file, in a store.

What lies in a file is never copied: it is mapped, and it travels to another process as a path.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fastprep.errors import InvalidInput, InvalidWindow
from fastprep_ext.windows import TokenShards

if TYPE_CHECKING:
    import torch

# The types in which ids may lie; the compiled core widens each of them to int64.
TOKEN_DTYPES = ("uint8", "uint16", "uint32", "int32", "int64")

IdArray: TypeAlias = NDArray[Any]


@runtime_checkable
class Store(Protocol):
    """What is needed of a token store; :class:`fastprep.TokenStore` is one."""

    @property
    def shards(self) -> tuple[IdArray, ...]:
        """One-dimensional arrays of one type, which together are the sequence."""

    @property
    def num_tokens(self) -> int:
        """How many ids there are in all shards together."""


Tokens: TypeAlias = "Store | str | os.PathLike[str] | IdArray | torch.Tensor | Sequence[int]"


def token_array(tokens: IdArray | torch.Tensor | Sequence[int]) -> IdArray:
    """View token ids that are not in a store as one array, without a copy where that is possible.

    Parameters
    ----------
    tokens
        a one-dimensional array, memory map or CPU tensor, whose memory the result shares, or a
        sequence of Python ints, which becomes int64.

    Returns
    -------
    numpy.ndarray
        one-dimensional, of a type in `TOKEN_DTYPES` and of the machine's byte order.

    Raises
    ------
    InvalidWindow
        for anything that is not a row of integers of such a type.

    Examples
    --------
    >>> token_array([40, 367, 2885])
    array([  40,  367, 2885])
    """
    if isinstance(tokens, str | bytes | os.PathLike):
        raise InvalidWindow(
            f"token ids are wanted, found a {type(tokens).__name__}; encode the text first, "
            f"or give a path to WindowDataset, which opens the store there"
        )
    try:
        array: IdArray = np.asarray(tokens)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise InvalidWindow(
            f"a {type(tokens).__name__} cannot be read as a row of token ids: {error}"
        ) from error
    if array.ndim != 1:
        raise InvalidWindow(
            f"token ids must be one row; found the shape {list(array.shape)}, so flatten it or "
            f"make a dataset of each row"
        )
    if array.size == 0 and not isinstance(tokens, np.ndarray):
        array = array.astype(np.int64)  # numpy gives an empty list the type float64
    if array.dtype.name not in TOKEN_DTYPES or not array.dtype.isnative:
        raise InvalidWindow(
            f"token ids must be {', '.join(TOKEN_DTYPES[:-1])} or {TOKEN_DTYPES[-1]} in this "
            f"machine's byte order; found {array.dtype.str} ({array.dtype.name}), "
            f"so convert them with .astype"
        )
    return array


def open_tokens(tokens: Tokens) -> Store | IdArray:
    """Turn a path into the store there and everything that is not in a store into an array.

    Raises
    ------
    InvalidWindow
        for tokens of a wrong kind.
    InvalidStore
        for a path that is no token store.
    """
    if isinstance(tokens, str | os.PathLike):
        from fastprep.store.reader import TokenStore

        store: Store = TokenStore(tokens)
        return store
    return tokens if isinstance(tokens, Store) else token_array(tokens)


class TokenSource:
    """Token ids ready to be cut into windows.

    Parameters
    ----------
    tokens
        a token store or the path of one, a memory map, an array, a CPU tensor, or a sequence of
        ints. Stores, maps, arrays and tensors are shared, not copied.
    mmap
        False: read the ids of a file whenever they are wanted (``pread``), for disks where
        mapping is unwise; ids in memory stay where they are.

    Attributes
    ----------
    core
        the ids for compiled code: :class:`fastprep_ext.windows.TokenShards`.
    num_tokens
        how many ids there are.
    dtype
        their type.

    Raises
    ------
    InvalidWindow
        for tokens of a wrong kind, and for a negative id in memory. Ids in files are looked at
        when they are read, so that opening takes no time.
    InvalidStore
        for a path that is no token store.

    Notes
    -----
    A source made of a store or of a memory map is pickled as a path and opened again where it is
    unpickled: a few hundred bytes, whatever the corpus. So what is in the file then is what
    travels, also for a map with mode "c", whose changes never reach the file. Other sources are
    pickled with their ids.

    Examples
    --------
    >>> TokenSource([40, 367, 2885]).num_tokens
    3
    """

    __slots__ = ("_mmap", "_origin", "_reader", "core", "dtype", "num_tokens")

    def __init__(self, tokens: Tokens, *, mmap: bool = True) -> None:
        origin = open_tokens(tokens)
        if isinstance(origin, np.ndarray) and not _mapped_file(origin):
            origin = np.ascontiguousarray(origin)
            _refuse_negative(origin)
        self._origin = origin
        self._mmap = mmap
        files = None if mmap else self.files()
        if files is None:
            shards = self.shards
            self._reader = None
            self.core = TokenShards(map(_plain, shards))
        else:
            # Shards are not even mapped: an empty array tells the type.
            shards = (np.empty(0, _dtype_of(origin)),)
            self._reader = _OpenFiles([path for path, _, _ in files])
            places = zip(self._reader.descriptors, files, strict=True)
            self.core = TokenShards(
                map(_plain, shards * len(files)),
                [(descriptor, offset, count) for descriptor, (_, offset, count) in places],
            )
        self.num_tokens: int = self.core.num_tokens
        self.dtype: np.dtype[Any] = shards[0].dtype if shards else np.dtype(np.int64)

    @property
    def shards(self) -> tuple[IdArray, ...]:
        """One-dimensional arrays that together are the sequence."""
        return (self._origin,) if isinstance(self._origin, np.ndarray) else self._origin.shards

    @property
    def store(self) -> Store | None:
        """The token store that the ids are in, or None."""
        return None if isinstance(self._origin, np.ndarray) else self._origin

    def files(self) -> list[tuple[Path, int, int]] | None:
        """Where each shard lies: its file, first byte and number of ids; None for memory."""
        if isinstance(self._origin, np.ndarray):
            mapped = _mapped_file(self._origin)
            return None if mapped is None else [(Path(mapped[0]), mapped[1], self._origin.size)]
        if not isinstance(self._origin, _StoreOfFiles):
            return None
        counts = self._origin.shard_sizes
        return [
            (path.absolute(), 0, count)
            for path, count in zip(self._origin.shard_files, counts, strict=True)
        ]

    def describe(self, position: int) -> str:
        """The name of the file that holds the id at `position`, for messages."""
        for path, _, count in self.files() or ():
            if position < count:
                return str(path)
            position -= count
        return "the ids in memory"

    def __reduce__(self) -> tuple[Any, ...]:
        if isinstance(self._origin, np.ndarray) and (mapped := _mapped_file(self._origin)):
            dtype, size = self._origin.dtype.str, self._origin.size
            return _map_again, (*mapped, dtype, size, self._mmap)
        return _open_again, (self._origin, self._mmap)


@runtime_checkable
class _StoreOfFiles(Protocol):
    """A store that tells where its shards lie."""

    @property
    def shard_files(self) -> tuple[Path, ...]: ...
    @property
    def shard_sizes(self) -> tuple[int, ...]: ...


class _OpenFiles:
    """Open files, closed when nobody needs them any more."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.descriptors: list[int] = []
        for path in paths:
            self.descriptors.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    # Held here: when the interpreter ends, modules go before the last objects do.
    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        for descriptor in self.descriptors:
            close(descriptor)


def _dtype_of(origin: Store | IdArray) -> np.dtype[Any]:
    known: np.dtype[Any] | None = getattr(origin, "dtype", None)
    return np.dtype(np.int64) if known is None else known


def _plain(array: IdArray) -> IdArray:
    """The same memory, with a dtype that states no byte order where it is the machine's own.

    A dtype made by ``newbyteorder("<")`` says so even on a little-endian machine, in the format
    of its buffer too, which no longer counts as native then.
    """
    return array.view(array.dtype.newbyteorder("=")) if array.dtype.isnative else array


def _refuse_negative(array: IdArray) -> None:
    if array.dtype.kind == "u" or array.size == 0 or array.min() >= 0:
        return
    position = int(np.argmax(array < 0))
    raise InvalidWindow(
        f"the id at position {position} is {array[position]}; ids are never negative, "
        f"so these are not token ids"
    )


def _mapped_file(array: IdArray) -> tuple[str, int] | None:
    """The file that `array` is a contiguous part of and its first byte there, or None."""
    root = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    if (
        not isinstance(root, np.memmap)
        or not isinstance(root.base, mmap.mmap)
        or root.filename is None
        or array.size == 0
        or not array.flags.c_contiguous
    ):
        return None
    # A slice of a map inherits its parent's `offset`, so the addresses have to tell.
    return str(Path(root.filename)), root.offset + array.ctypes.data - root.ctypes.data


def _open_again(origin: Store | IdArray, mapped: bool) -> TokenSource:
    return TokenSource(origin, mmap=mapped)


def _map_again(path: str, offset: int, dtype: str, size: int, mapped: bool) -> TokenSource:
    """Unpickle a source that lies in a mapped file."""
    needed = offset + size * np.dtype(dtype).itemsize
    if (found := Path(path).stat().st_size) < needed:
        raise InvalidInput(
            f"{path}: {found} bytes, but the token ids that were mapped from it end at byte "
            f"{needed}; the file was cut since, so write it again"
        )
    ids = np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=(size,))
    return TokenSource(ids, mmap=mapped)
