"""TokenStore: a store on disk, opened without reading its ids, and read in place.

The format is described in :mod:`fastprep.store.manifest`. To open a store is to check the manifest and
the size of each file; :func:`fastprep.verify` checks the ids. Files are mapped read-only on first use,
and numpy is imported then. If another process truncates a mapped file, a read of its ids through the
map ends this process; the reads of the training loader are protected against that.
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
from fastprep.store.checksums import crc32
from fastprep.store.manifest import HOW_TO_FIX, Eot, Manifest
from fastprep.system.arguments import local_path, whole_number
from fastprep.system.cached import cached_property

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy as np
    import numpy.typing as npt

    Ids: TypeAlias = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]

# Python before 3.13 keeps a file descriptor open per map, so many shards need many descriptors.
_MAP_OPTIONS: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}


class TokenStore:
    """The token ids of a corpus, in the order of its documents, as one long read-only array.

    A store pickles as its path, so it is cheap to send to another process.

    Parameters
    ----------
    path
        the store's directory.

    Attributes
    ----------
    path
        the directory, as given.
    manifest
        the facts about the store.
    num_tokens, num_documents
        the number of each; ``len(store)`` is the number of tokens.
    dtype
        uint16 or uint32, little-endian.
    n_vocab
        every id is below it.
    encoding_name
        the name of the encoding that made the ids.
    eot_token
        the end token: the id at one end of each document, or None if there is none.
    eot
        its place: after each document (``"append"``), before it (``"prepend"``), or ``"none"``.

    Raises
    ------
    InvalidStore
        for a directory that is not a complete store: with the file, what was found, and how to fix it.

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
        self.path: Path = local_path(path, "a store")
        # The inode and time of each file, to notice later that the store was replaced.
        self._opened: dict[tuple[int, str], tuple[int, int]] = {}
        self.manifest: Manifest = self._load()
        self.num_tokens: int = self.manifest.tokens
        self.num_documents: int = self.manifest.documents
        self.n_vocab: int = self.manifest.n_vocab
        self.encoding_name: str = self.manifest.encoding.name
        self.eot_token: int | None = self.manifest.end_token
        self.eot: Eot = "none"
        if self.eot_token is not None:
            self.eot = "prepend" if self.manifest.end_token_first else "append"
        records = self.manifest.shards
        self._token_starts = manifests.offsets(shard.tokens for shard in records)
        self._document_starts = manifests.offsets(shard.documents for shard in records)
        # Filled on first use. Two threads may both fill an item, with equal maps, which is harmless.
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
        """The ids of each shard: read-only arrays over the mapped files, which may be empty."""
        return tuple(self._shard(index) for index in range(len(self._tokens)))

    @property
    def shard_files(self) -> tuple[Path, ...]:
        """The file of the ids of each shard."""
        return tuple(self.shard_file(index, "bin") for index in range(len(self._tokens)))

    def shard_file(self, index: int, kind: Literal["bin", "ends"]) -> Path:
        """Return one file of a shard: its ids (``"bin"``) or its document ends."""
        return manifests.shard_path(self.directory, index, kind)

    @property
    def directory(self) -> Path:
        """The directory of all files but the manifest."""
        if not self.manifest.files:
            return self.path
        # The store is on its way to the place of the one that it replaces.
        path = self.path / self.manifest.files
        return path if path.is_dir() else self.path

    @property
    def shard_sizes(self) -> tuple[int, ...]:
        """The number of ids of each shard."""
        return tuple(shard.tokens for shard in self.manifest.shards)

    @property
    def shard_ends(self) -> tuple[npt.NDArray[np.uint64], ...]:
        """The document ends of each shard, in tokens from the shard's start: mapped files."""
        return tuple(self._shard_ends(index) for index in range(len(self._ends)))

    @property
    def document_ends(self) -> npt.NDArray[np.uint64]:
        """The end of each document in tokens from the store's start, as uint64.

        Document ``i`` is ``store[ends[i - 1]:ends[i]]``. For a store of one shard this is the mapped
        file; for more shards the array is built once, with 8 bytes per document.
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
        """Return the ids of one document, including its end token, as a view of the mapped file.

        Parameters
        ----------
        index
            the number of the document; negative ones count from the end.

        Returns
        -------
        numpy.ndarray
            read-only, uint16 or uint32.

        Raises
        ------
        IdOutOfRange
            if there is no such document; it is an IndexError.

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

    def token_start(self, document: int) -> int:
        """Return the position of a document's first token; of document `num_documents`, the end.

        Raises IdOutOfRange for another number.
        """
        document = whole_number(document, "document", 0, self.num_documents, IdOutOfRange)
        shard = bisect.bisect_right(self._document_starts, document) - 1
        within = document - self._document_starts[shard]
        before = int(self._shard_ends(shard)[within - 1]) if within else 0
        return self._token_starts[shard] + before

    def shard_content(self, index: int, kind: Literal["bin", "ends"]) -> mmap.mmap | bytes:
        """Map one file of a shard, without numpy: its ids (``"bin"``) or its document ends."""
        # Checked again, because a read through a map of a file that was truncated ends the process.
        size = self._check_file(index, kind)
        if size == 0:  # an empty file cannot be mapped
            return b""
        with self.shard_file(index, kind).open("rb") as file:
            return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ, **_MAP_OPTIONS)

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

    def __reduce__(self) -> tuple[Any, tuple[type[TokenStore], Path, int]]:
        return _reopened, (type(self), self.path.absolute(), self._checksum())

    def _checksum(self) -> int:
        """Return a checksum of the checksums of all files."""
        shards = self.manifest.shards
        return crc32(repr([(shard.bin_crc32, shard.ends_crc32) for shard in shards]).encode())

    def _range(self, start: int, stop: int) -> Ids:
        if start >= stop:
            import numpy as np

            return np.empty(0, self.dtype)
        # Of shards that start at one position only the last has tokens: bisect_right finds it.
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
            import numpy as np

            # A plain array: each slice of a np.memmap costs seven times as much.
            ids = np.frombuffer(self.shard_content(index, "bin"), self.dtype)
            self._tokens[index] = ids
        return ids

    def _shard_ends(self, index: int) -> npt.NDArray[np.uint64]:
        ends = self._ends[index]
        if ends is None:
            import numpy as np

            ends = np.frombuffer(self.shard_content(index, "ends"), np.dtype("<u8"))
            self._ends[index] = ends
        return ends

    def _load(self) -> Manifest:
        """Read the manifest and check the sizes of all files; again if it was replaced by then."""
        path = self.path / manifests.MANIFEST
        while True:
            before, fault = _identity(path), None
            self._opened.clear()
            self.manifest = manifests.load(self.path)
            try:
                for index in range(len(self.manifest.shards)):
                    self._check_file(index, "bin")
                    self._check_file(index, "ends")
            except InvalidStore as error:
                fault = error
            if _identity(path) != before:
                continue
            if fault is not None:
                raise fault
            return self.manifest

    def _check_file(self, index: int, kind: Literal["bin", "ends"]) -> int:
        """Check the size of one file of a shard against the manifest, and return it."""
        record = self.manifest.shards[index]
        size = record.documents * 8
        if kind == "bin":
            size = record.tokens * manifests.itemsize_of(self.manifest.dtype)
        path = self.shard_file(index, kind)
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise InvalidStore(
                f"{path}: missing, though the manifest lists it; {HOW_TO_FIX}"
            ) from None
        if not stat.S_ISREG(status.st_mode):
            raise InvalidStore(f"{path}: not a regular file; {HOW_TO_FIX}")
        # Both, because a copy may keep the time, and some network file systems renumber inodes.
        inode, time = self._opened.setdefault((index, kind), (status.st_ino, status.st_mtime_ns))
        if status.st_ino != inode and status.st_mtime_ns != time:
            raise InvalidStore(
                f"{path}: another file than when this store was opened: it was replaced; open it again"
            )
        if status.st_size != size:
            raise InvalidStore(
                f"{path}: {status.st_size} bytes, but the manifest says {size}; {HOW_TO_FIX}"
            )
        return size


def _reopened(kind: type[TokenStore], path: Path, checksum: int) -> TokenStore:
    """Open a store that another process has sent. Raises InvalidStore if it was replaced since."""
    store = kind(path)
    if store._checksum() != checksum:
        raise InvalidStore(
            f"{path}: another store than the one that was sent to this process: it was replaced or "
            "appended to; open it again"
        )
    return store


def _identity(path: Path) -> tuple[int, int, int] | None:
    """Return what changes whenever a file is replaced, or None if it is missing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
