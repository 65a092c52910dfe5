"""TokenStore: a store on disk, opened in no time and read in place.

The format is described in :mod:`fastprep.store.manifest`. Opening looks at the manifest and at the size
of each file, never at the ids: that is what :func:`fastprep.verify` is for. Files are mapped read
only, when they are first used, and numpy is imported no sooner; another process that truncates a
mapped file ends this one where ids are read here. The loader's own reads are guarded.
"""

from __future__ import annotations

import bisect
import mmap
import operator
import stat
import sys
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from fastprep.errors import IdOutOfRange, InvalidStore
from fastprep.store import manifest as manifests
from fastprep.store.manifest import MEND, Manifest
from fastprep.system.cached import cached_property

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy as np
    import numpy.typing as npt

    Ids: TypeAlias = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]

# Before 3.13 Python keeps a file descriptor open for each map, so many shards need many of them.
_MAP_OPTIONS: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}


class TokenStore:
    """The token ids of a corpus, in the order of its documents, as one long read-only array.

    Pickles as its path alone, so sending one to another process costs nothing.

    Parameters
    ----------
    path
        the store's directory.

    Attributes
    ----------
    path
        the directory, as given.
    manifest
        all that is known about the store.
    num_tokens, num_documents
        how many there are; ``len(store)`` is the number of tokens.
    dtype
        uint16 or uint32, little-endian.
    n_vocab
        every id is below it.
    encoding_name
        the encoding that made the ids.
    eot_token
        the id that stands at one end of each document, or None when there is none.
    eot
        where it stands: ``"append"``, ``"prepend"`` or ``"none"``.

    Raises
    ------
    InvalidStore
        for a directory that is not a whole store, naming the file, what was found, and the mend.

    Examples
    --------
    >>> from fastprep.jobs.prepare import prepare
    >>> _ = (tmp / "two.txt").write_text("One.<|endoftext|>Two.")
    >>> store = prepare(tmp / "two.txt", tmp / "store", progress=False)
    >>> store[:]
    array([ 3198,    13, 50256,  7571,    13, 50256], dtype=uint16)
    >>> store.document(1)
    array([ 7571,    13, 50256], dtype=uint16)
    >>> TokenStore(tmp / "store").num_documents
    2
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self.manifest: Manifest = manifests.load(self.path)
        self.num_tokens: int = self.manifest.tokens
        self.num_documents: int = self.manifest.documents
        self.n_vocab: int = self.manifest.n_vocab
        self.encoding_name: str = self.manifest.encoding.name
        self.eot_token: int | None = self.manifest.end_token
        self.eot: Literal["append", "prepend", "none"] = "none"
        if self.eot_token is not None:
            self.eot = "prepend" if self.manifest.end_token_first else "append"
        for index, shard in enumerate(self.manifest.shards):
            self._check_file(
                index, "bin", shard.tokens * manifests.itemsize_of(self.manifest.dtype)
            )
            self._check_file(index, "ends", shard.documents * 8)
        records = self.manifest.shards
        self._token_starts = manifests.starts([shard.tokens for shard in records])
        self._document_starts = manifests.starts([shard.documents for shard in records])
        # Filled on first use. Two threads may both fill a place, with equal maps: no harm done.
        self._tokens: list[Ids | None] = [None] * len(records)
        self._ends: list[npt.NDArray[np.uint64] | None] = [None] * len(records)
        self._all_ends: npt.NDArray[np.uint64] | None = None

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The type of the ids."""
        import numpy as np

        return np.dtype(self.manifest.dtype).newbyteorder("<")

    @property
    def shards(self) -> tuple[Ids, ...]:
        """The ids shard by shard: read-only arrays over the mapped files, some perhaps empty."""
        return tuple(self._shard(index) for index in range(len(self._tokens)))

    @property
    def shard_files(self) -> tuple[Path, ...]:
        """The files of the ids, shard by shard."""
        return tuple(
            manifests.shard_path(self.path, index, "bin") for index in range(len(self._tokens))
        )

    @property
    def shard_sizes(self) -> tuple[int, ...]:
        """How many ids each shard has."""
        return tuple(shard.tokens for shard in self.manifest.shards)

    @property
    def shard_ends(self) -> tuple[npt.NDArray[np.uint64], ...]:
        """Where documents end, shard by shard, in tokens from the shard's start: mapped files."""
        return tuple(self._shard_ends(index) for index in range(len(self._ends)))

    @property
    def document_ends(self) -> npt.NDArray[np.uint64]:
        """The end of each document in tokens from the store's start: uint64, one a document.

        Document ``i`` is ``store[ends[i - 1]:ends[i]]``. A store of one shard gives the mapped
        file; one of more shards builds the array once, 8 bytes a document.
        """
        if self._all_ends is None:
            if len(self._ends) == 1:
                self._all_ends = self._shard_ends(0)
            else:
                import numpy as np

                ends = np.empty(self.num_documents, np.uint64)
                for index, start in enumerate(self._document_starts[:-1]):
                    stop = self._document_starts[index + 1]
                    first = np.uint64(self._token_starts[index])
                    np.add(self._shard_ends(index), first, out=ends[start:stop])
                ends.flags.writeable = False
                self._all_ends = ends
        return self._all_ends

    def document(self, index: int) -> Ids:
        """The ids of one document, the end token included where there is one.

        No copy is made: the array is a view of the mapped file.

        Raises
        ------
        IdOutOfRange
            when there is no such document; it is an IndexError.

        Examples
        --------
        See :class:`TokenStore`.
        """
        number = operator.index(index)
        if number < 0:
            number += self.num_documents
        if not 0 <= number < self.num_documents:
            raise IdOutOfRange(
                f"document {index} of {self.path}, which has {self.num_documents} documents"
            )
        shard = bisect.bisect_right(self._document_starts, number) - 1
        number -= self._document_starts[shard]
        ends = self._shard_ends(shard)
        start = int(ends[number - 1]) if number else 0
        return self._shard(shard)[start : int(ends[number])]

    def __len__(self) -> int:
        return self.num_tokens

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> Ids: ...
    def __getitem__(self, key: int | slice) -> int | Ids:
        if isinstance(key, slice):
            start, stop, step = key.indices(self.num_tokens)
            if step > 0:
                return self._range(start, stop)[::step]
            return self._range(stop + 1, start + 1)[::step]
        position = operator.index(key)
        if position < 0:
            position += self.num_tokens
        if not 0 <= position < self.num_tokens:
            raise IdOutOfRange(f"token {key} of {self.path}, which has {self.num_tokens} tokens")
        shard = bisect.bisect_right(self._token_starts, position) - 1
        return int(self._shard(shard)[position - self._token_starts[shard]])

    def __repr__(self) -> str:
        return (
            f"TokenStore({str(self.path)!r}: {self.num_tokens} tokens, "
            f"{self.num_documents} documents, {self.encoding_name}, {self.manifest.dtype})"
        )

    def __reduce__(self) -> tuple[type[TokenStore], tuple[Path]]:
        return type(self), (self.path.absolute(),)

    def _range(self, start: int, stop: int) -> Ids:
        if start >= stop:
            import numpy as np

            return np.empty(0, self.dtype)
        # Of shards that begin at one place only the last has tokens: bisect_right finds it.
        shard = bisect.bisect_right(self._token_starts, start) - 1
        first = self._token_starts[shard]
        if stop <= self._token_starts[shard + 1]:
            return self._shard(shard)[start - first : stop - first]
        import numpy as np

        ids: Ids = np.empty(stop - start, self.dtype)
        filled = 0
        while filled < len(ids):
            first, end = self._token_starts[shard], self._token_starts[shard + 1]
            part = self._shard(shard)[start + filled - first : min(stop, end) - first]
            ids[filled : filled + len(part)] = part
            filled += len(part)
            shard += 1
        return ids

    def _shard(self, index: int) -> Ids:
        ids = self._tokens[index]
        if ids is None:
            ids = self._map(index, "bin", self.dtype, self.manifest.shards[index].tokens)
            self._tokens[index] = ids
        return ids

    def _shard_ends(self, index: int) -> npt.NDArray[np.uint64]:
        ends = self._ends[index]
        if ends is None:
            import numpy as np

            count = self.manifest.shards[index].documents
            ends = self._map(index, "ends", np.dtype("<u8"), count)
            self._ends[index] = ends
        return ends

    def _map(
        self, index: int, kind: Literal["bin", "ends"], dtype: np.dtype[Any], count: int
    ) -> npt.NDArray[Any]:
        import numpy as np

        # A plain array, not np.memmap, of which each slice costs seven times as much.
        return np.frombuffer(self._content(index, kind, count * dtype.itemsize), dtype)

    def _content(self, index: int, kind: Literal["bin", "ends"], size: int) -> mmap.mmap | bytes:
        """A file of a shard, mapped."""
        if size == 0:  # the system maps no empty file
            return b""
        # Looked at again, because a map of a file that has become shorter dies on first use.
        self._check_file(index, kind, size)
        with manifests.shard_path(self.path, index, kind).open("rb") as file:
            return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ, **_MAP_OPTIONS)

    def _check_file(self, index: int, kind: Literal["bin", "ends"], size: int) -> None:
        path = manifests.shard_path(self.path, index, kind)
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise InvalidStore(f"{path}: missing, though the manifest lists it; {MEND}") from None
        if not stat.S_ISREG(status.st_mode):
            raise InvalidStore(f"{path}: not a regular file; {MEND}")
        if status.st_size != size:
            raise InvalidStore(
                f"{path}: {status.st_size} bytes, but the manifest says {size}; {MEND}"
            )
