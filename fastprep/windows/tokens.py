"""Access to one long sequence of token ids: in memory, in a mapped file, or in a token store.

Ids in a file are never copied: the file is mapped, and pickled as its path.
"""

from __future__ import annotations

import bisect
import inspect
import mmap
import operator
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from fastprep.errors import InvalidInput, InvalidStore, InvalidWindow
from fastprep.store.reader import TokenStore
from fastprep_ext.base import map_file
from fastprep_ext.windows import DocumentEnds, TokenShards, on_network, read_ahead

if TYPE_CHECKING:
    import torch

    from fastprep.windows.packing import DocumentParts

# The dtypes that ids may have; the compiled core widens each of them to int64.
TOKEN_DTYPES = ("uint8", "uint16", "uint32", "int32", "int64")

# A process may have 65,530 maps (vm.max_map_count), and several datasets.
MAX_MAPPED_SHARDS = 4096

IdArray: TypeAlias = NDArray[np.integer[Any]]


class ShardedTokens(Protocol):
    """A token sequence in shards; :class:`fastprep.TokenStore` is one."""

    @property
    def shards(self) -> tuple[IdArray, ...]:
        """One-dimensional arrays of one dtype; their concatenation is the sequence."""

    @property
    def num_tokens(self) -> int:
        """The number of ids in all shards together."""


Tokens: TypeAlias = (
    "ShardedTokens | str | os.PathLike[str] | IdArray | torch.Tensor | Sequence[int]"
)


def token_array(tokens: IdArray | torch.Tensor | Sequence[int]) -> IdArray:
    """Return token ids as one array, without a copy where that is possible.

    Parameters
    ----------
    tokens
        a one-dimensional array, memory map or CPU tensor, whose memory the result shares, or a
        sequence of Python ints, which becomes int64.

    Returns
    -------
    numpy.ndarray
        ``[num_tokens]``, of a dtype in `TOKEN_DTYPES` and in the machine's byte order.

    Raises
    ------
    InvalidWindow
        if `tokens` is not a one-dimensional sequence of integers of such a dtype.

    Examples
    --------
    >>> token_array([40, 367, 2885])
    array([  40,  367, 2885])
    """
    if isinstance(tokens, str | bytes | os.PathLike):
        raise InvalidWindow(
            f"expected token ids, found a {type(tokens).__name__}; encode the text first, "
            f"or pass a path to WindowDataset, which opens the store there"
        )
    try:
        array: IdArray = np.asarray(tokens)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise InvalidWindow(
            f"a {type(tokens).__name__} cannot be read as a sequence of token ids: {error}"
        ) from error
    if array.ndim != 1:
        raise InvalidWindow(
            f"token ids must be one-dimensional; found the shape {list(array.shape)}, so flatten "
            f"it or make one dataset per row"
        )
    if array.size == 0 and not isinstance(tokens, np.ndarray):
        array = array.astype(np.int64)  # numpy gives an empty list the dtype float64
    if array.dtype.name not in TOKEN_DTYPES or not array.dtype.isnative:
        raise InvalidWindow(
            f"token ids must be {', '.join(TOKEN_DTYPES[:-1])} or {TOKEN_DTYPES[-1]} in this "
            f"machine's byte order; found {array.dtype.str} ({array.dtype.name}), "
            f"so convert them with .astype"
        )
    return array


def open_tokens(tokens: Tokens) -> ShardedTokens | IdArray:
    """Open the token store at a path; return a store as it is and anything else as an array.

    Raises InvalidWindow for tokens of a wrong kind and InvalidStore for a path that is not a token
    store.
    """
    if isinstance(tokens, str | os.PathLike):
        return TokenStore(tokens)
    # By isinstance with a protocol, Python before 3.12 would evaluate `shards`, which maps all files.
    if all(_has_attribute(tokens, name) for name in ("shards", "num_tokens")):
        return cast(ShardedTokens, tokens)
    return token_array(cast(Any, tokens))


def _has_attribute(tokens: object, name: str) -> bool:
    """Return whether an object has an attribute, without evaluating a property."""
    return inspect.getattr_static(tokens, name, None) is not None


class TokenSource:
    """Token ids ready to be cut into windows.

    Parameters
    ----------
    tokens
        a token store or its path, a memory map, an array, a CPU tensor, or a sequence of ints.
        Stores, maps, arrays and tensors are shared, not copied.
    mmap
        if True, map files; if False, read them on demand with ``pread``, of which at most 64 are
        open at a time. By default a store is mapped unless it is on a network file system (NFS,
        Lustre, SMB, FUSE, Ceph, GPFS, WekaFS, BeeGFS) or has more than `MAX_MAPPED_SHARDS` shards.
        Ids in memory stay where they are.

    Attributes
    ----------
    core
        the ids for compiled code: :class:`fastprep_ext.windows.TokenShards`.
    num_tokens
        number of ids.
    dtype
        their dtype.
    mapped
        False if files are read with ``pread``.

    Raises
    ------
    InvalidWindow
        for tokens of a wrong kind, and for a negative id in memory. Ids in files are checked
        when they are read, so that opening takes no time.
    InvalidStore
        for a path that is not a token store.

    Notes
    -----
    A source made from a store or from a memory map is pickled as a path and opened again where it
    is unpickled: a few hundred bytes, whatever the size of the corpus. The unpickled source
    therefore reads what the file holds then, also for a map with mode "c", whose changes never
    reach the file. Other sources are pickled with their ids.

    Examples
    --------
    >>> TokenSource([40, 367, 2885]).num_tokens
    3
    """

    __slots__ = ("_mmap", "_origin", "core", "dtype", "mapped", "num_tokens")

    def __init__(self, tokens: Tokens, *, mmap: bool | None = None) -> None:
        origin = open_tokens(tokens)
        if isinstance(origin, np.ndarray) and not _file_of_map(origin):
            origin = np.ascontiguousarray(origin)
            _check_not_negative(origin)
        self._origin = origin
        self._mmap = mmap
        network = isinstance(origin, TokenStore) and on_network(os.fsencode(origin.directory))
        self.mapped: bool = (
            mmap
            if mmap is not None
            else not (isinstance(origin, TokenStore) and (network or _has_many_shards(origin)))
        )
        self.core: TokenShards
        if isinstance(origin, TokenStore):
            self.dtype: np.dtype[Any] = origin.dtype
            self.core = self._opened_on_demand(origin.shard_sizes, origin.directory, network)
            if origin.is_opened_whole:
                # So that this source outlives the files, if another process removes them.
                self.core.open_all()
        elif not self.mapped and isinstance(origin, np.ndarray) and _file_of_map(origin):
            self.dtype = origin.dtype
            path, _ = cast(tuple[str, int], _file_of_map(origin))
            self.core = self._opened_on_demand((origin.size,), path, on_network(os.fsencode(path)))
            self.core.open_all()
        else:
            shards = self.shards
            self.dtype = shards[0].dtype if shards else np.dtype(np.int64)
            files = [*map(_file_of_map, shards)]
            self.core = TokenShards(
                map(_without_byte_order, shards),
                in_files=all(files),
                read_ahead=min(
                    (read_ahead(os.fsencode(file[0])) for file in files if file), default=0
                ),
            )
        self.num_tokens: int = self.core.num_tokens

    def _opened_on_demand(
        self,
        counts: Sequence[int],
        path: str | os.PathLike[str],
        network: bool,
        kind: Literal["bin", "mask"] = "bin",
    ) -> TokenShards:
        # An empty array carries the dtype.
        nothing = _without_byte_order(np.empty(0, self.dtype if kind == "bin" else np.uint8))
        return TokenShards(
            [nothing],
            counts,
            _Opener(self._origin, self.mapped, kind),
            in_files=True,
            on_network=network and not self.mapped,
            read_ahead=read_ahead(os.fsencode(path)),
        )

    @property
    def shards(self) -> tuple[IdArray, ...]:
        """One-dimensional arrays whose concatenation is the sequence."""
        return (self._origin,) if isinstance(self._origin, np.ndarray) else self._origin.shards

    @property
    def store(self) -> ShardedTokens | None:
        """The token store that holds the ids, or None."""
        return None if isinstance(self._origin, np.ndarray) else self._origin

    @property
    def max_ids(self) -> Sequence[int]:
        """The largest id of each shard of a token store; empty for ids that are not in one."""
        return self._origin.max_ids if isinstance(self._origin, TokenStore) else ()

    def document_parts(self) -> DocumentParts | None:
        """Yield the size and the document ends of each shard; None if the ends are not recorded."""
        if not isinstance(self._origin, TokenStore):
            return None
        ends = map(self._origin.shard_document_ends, range(self._origin.num_shards))
        return zip(self._origin.shard_sizes, ends, strict=True)

    def document_ends(self) -> DocumentEnds | None:
        """Return the document ends for compiled code; None if they are not recorded.

        Those of a shard are mapped at their first use, as its ids are.
        """
        if not isinstance(self._origin, TokenStore):
            return None
        if self._origin.is_opened_whole:
            return DocumentEnds(self.document_parts() or ())
        starts = self._origin.document_starts
        counts = map(operator.sub, starts[1:], starts)
        parts = zip(self._origin.shard_sizes, counts, strict=True)
        return DocumentEnds(parts, self._origin.shard_document_ends)

    def mask(self) -> TokenShards | None:
        """Return which tokens the assistant wrote, for compiled code: a byte per token.

        None if that is not recorded. The files are read as those of the ids are.
        """
        origin = self._origin
        if not isinstance(origin, TokenStore) or not origin.has_mask:
            return None
        network = on_network(os.fsencode(origin.directory))
        mask = self._opened_on_demand(origin.shard_sizes, origin.directory, network, "mask")
        if origin.is_opened_whole:
            mask.open_all()
        return mask

    def file_sizes(self) -> Sequence[int] | None:
        """Return the number of ids in each file; None for ids in memory."""
        if isinstance(self._origin, TokenStore):
            return self._origin.shard_sizes
        files = self.files()
        return None if files is None else [count for _, _, count in files]

    def files(self) -> list[tuple[Path, int, int]] | None:
        """Return the file, byte offset and number of ids of each shard; None for ids in memory."""
        if isinstance(self._origin, np.ndarray):
            mapped = _file_of_map(self._origin)
            return None if mapped is None else [(Path(mapped[0]), mapped[1], self._origin.size)]
        if not isinstance(self._origin, TokenStore):
            return None
        sizes = self._origin.shard_sizes
        return [
            (path, 0, count) for path, count in zip(self._origin.shard_files, sizes, strict=True)
        ]

    def writable_copy(self, shard: int) -> IdArray:
        """Map the file of a shard as a writable array whose changes do not reach the file."""
        if isinstance(self._origin, TokenStore):
            return np.frombuffer(self._origin.shard_content(shard, "bin", private=True), self.dtype)
        path, offset, count = (self.files() or [])[shard]
        with path.open("rb") as file:
            size = offset + count * self.dtype.itemsize
            _check_size(path, os.fstat(file.fileno()), size)
            return np.frombuffer(map_file(file.fileno(), size, True), self.dtype, offset=offset)

    def describe(self, position: int) -> str:
        """Return the name of the file that holds the id at `position`, for messages."""
        if isinstance(self._origin, TokenStore):
            shard = bisect.bisect_right(self._origin.token_starts, position) - 1
            return str(self._origin.shard_file(shard, "bin"))
        for path, _, count in self.files() or ():
            if position < count:
                return str(path)
            position -= count
        return "the ids in memory"

    def __reduce__(self) -> tuple[Any, ...]:
        if isinstance(self._origin, np.ndarray) and (mapped := _file_of_map(self._origin)):
            dtype, size = self._origin.dtype.str, self._origin.size
            return _remap, (*mapped, dtype, size, self._mmap)
        return _reopen, (self._origin, self._mmap)


class _Opener:
    """The function that opens a shard at its first use, or its mask.

    Returns its ids if they are mapped, and where they can be read with pread.
    """

    def __init__(
        self,
        origin: ShardedTokens | IdArray,
        mapped: bool,
        kind: Literal["bin", "mask"] = "bin",
    ) -> None:
        self._origin = origin
        self._mapped = mapped
        self._kind: Literal["bin", "mask"] = kind

    def __call__(self, shard: int) -> tuple[IdArray | None, tuple[bytes, int, int] | None]:
        if not isinstance(self._origin, TokenStore):
            name, offset = _file_of_map(cast(IdArray, self._origin)) or ("", 0)
            path = Path(name).absolute()
            return None, (os.fsencode(path), path.stat().st_ino, offset)
        ids: IdArray | None = None
        if self._mapped and self._kind == "mask":
            ids = self._origin.shard_mask(shard)
        elif self._mapped:
            ids = _without_byte_order(self._origin.shard_ids(shard))
        try:
            file, status = self._origin.checked_file(shard, self._kind)
        except InvalidStore:
            if ids is None:
                raise
            return ids, None  # mapped before the file was removed
        return ids, (os.fsencode(file), status.st_ino, 0)


def _has_many_shards(store: TokenStore) -> bool:
    return len(store.shard_sizes) > MAX_MAPPED_SHARDS


def _without_byte_order(array: IdArray) -> IdArray:
    """Return a view whose dtype names no byte order if that is the machine's own.

    A dtype made by ``newbyteorder("<")`` names it even on a little-endian machine, also in the
    format of its buffer, which then no longer counts as native.
    """
    return array.view(array.dtype.newbyteorder("=")) if array.dtype.isnative else array


def _check_not_negative(array: IdArray) -> None:
    if array.dtype.kind == "u" or array.size == 0 or array.min() >= 0:
        return
    position = int(np.argmax(array < 0))
    raise InvalidWindow(
        f"the id at position {position} is {array[position]}; ids are never negative, "
        f"so these are not token ids"
    )


def _file_of_map(array: IdArray) -> tuple[str, int] | None:
    """Return the file of which `array` is a contiguous part and its byte offset there, or None."""
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
    # A slice of a map inherits its parent's `offset`, so only the addresses give its own.
    return str(Path(root.filename)), root.offset + array.ctypes.data - root.ctypes.data


def _reopen(origin: ShardedTokens | IdArray, mapped: bool | None) -> TokenSource:
    return TokenSource(origin, mmap=mapped)


def _remap(path: str, offset: int, dtype: str, size: int, mapped: bool | None) -> TokenSource:
    """Unpickle a source that is in a mapped file."""
    _check_size(Path(path), Path(path).stat(), offset + size * np.dtype(dtype).itemsize)
    ids = np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=(size,))
    return TokenSource(ids, mmap=mapped)


def _check_size(path: Path, status: os.stat_result, needed: int) -> None:
    if status.st_size < needed:
        raise InvalidInput(
            f"{path}: {status.st_size} bytes, but the token ids that were mapped from it end at byte "
            f"{needed}; the file was truncated since, so write it again"
        )
