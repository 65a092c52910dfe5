"""TokenStore: a store on disk, opened without reading its ids, and read in place.

The format is described in :mod:`fastprep.store.manifest`. To open a store is to check the manifest
and the size of each file; :func:`fastprep.verify` checks the ids. Files are mapped read-only on
first use, without a file descriptor that stays open, and numpy is imported then. A store whose
manifest has an index (:mod:`fastprep.store.index`) is opened by reading the index and the first
lines of the manifest, and each file is checked on first use. At most 1,024 files stay mapped for
the store itself, in addition to those of arrays that are in use.

A file that is mapped later than the store was opened still belongs to the same manifest, or that is an
error: a writer that replaces a store removes the manifest before any other file.

If another process truncates a mapped file, a read of its ids through the map ends this process; the
reads of the training loader are protected against that.
"""

from __future__ import annotations

import bisect
import operator
import os
import stat
from collections import deque
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, overload

from msgspec import UNSET, structs

from fastprep.corpus.remote import from_file_url, is_url, normal_url
from fastprep.errors import IdOutOfRange, InvalidIndex, InvalidInput, InvalidStore
from fastprep.store import manifest as manifests
from fastprep.store.checksums import crc32
from fastprep.store.index import (
    Opened,
    check_digest,
    open_manifest,
    read_passed_over,
    read_records,
)
from fastprep.store.manifest import (
    HOW_TO_FIX,
    Eot,
    FileIdentity,
    FileKind,
    Manifest,
    ShardRecord,
    ShardSummary,
)
from fastprep.system.arguments import local_path, path_name, whole_number
from fastprep.system.cached import cached_property
from fastprep.system.host import READ_FLAGS
from fastprep_ext.base import map_file, will_need

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    import numpy as np
    import numpy.typing as npt

    from fastprep.corpus.passed_over import PassedOver
    from fastprep.encoding.encoding import Encoding
    from fastprep.store.remote import RemoteFiles
    from fastprep.store.views import Documents
    from fastprep.words.encoding import WordEncoding

    Ids: TypeAlias = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]

# Stores of up to this many shards, without an index, are checked as a whole when they are opened.
# For more, the requests take seconds on a network file system, once per rank of a training job.
_MAX_CHECKED_SHARDS = 1000
# Files that stay mapped: a process may have 65,530 maps on Linux, and network file systems fewer.
MAX_MAPPED = 1024
_ITERATED = 1 << 16  # ids that become a list at a time
_REOPEN = "the store was replaced or removed since it was opened; open it again"


class TokenStore:
    """The token ids of a corpus, in the order of its documents, as one long read-only array.

    A store pickles as its path, so it is cheap to send to another process. Two stores are equal if they
    hold the same ids and documents of the same encoding in shards of the same sizes
    (:attr:`fingerprint`), wherever they are, and equal stores are one key of a dict: two objects of one
    store find the same entry. To give two equal stores a weight each in a mixture, pass it pairs.

    ``store[i]`` is an id; ``store[a:b]`` is a view of the mapped file, or a copy where it runs
    across shards; an array or list of positions, or a mask of all positions, selects ids as in
    numpy. ``numpy.asarray`` takes a store as the array ``store[:]``: the mapped file if the store
    has one shard, otherwise one copy. ``torch.as_tensor`` and ``torch.from_dlpack`` make one copy,
    because tensors are writable; ``pyarrow.array`` takes the ids as one array, and :meth:`to_arrow`
    by documents.

    Parameters
    ----------
    path
        the store's directory, or its URL. Of a store at a URL each file is copied to a cache on this
        machine when it is first used (:mod:`fastprep.store.remote`).

    Attributes
    ----------
    path
        the directory, as an absolute path; for a store at a URL that of its cache.
    head
        the facts about the store, without those about its shards if its manifest has an index.
    num_tokens, num_documents
        the number of each; ``len(store)`` is the number of tokens.
    dtype
        uint16 or uint32, little-endian.
    vocab_size
        every id is below it.
    encoding_name
        the name of the encoding that made the ids.
    eot_token
        the end token: the id at one end of each document, or None if there is none.
    eot
        its place: after each document (``"append"``), before it (``"prepend"``), or ``"none"``.
    bos_token
        the id before each document, or None if there is none; with ``"prepend"`` it is the end token.

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
        name = path_name(path, "a store")
        name = from_file_url(name) if isinstance(name, str) else name
        self._url: str | None = None
        self._remote: RemoteFiles | None = None
        if isinstance(name, str) and is_url(name):
            from fastprep.store.remote import RemoteFiles

            self._url = normal_url(name)
            self._remote = RemoteFiles(self._url)
            self.path: Path = self._remote.directory
        else:
            self.path = local_path(name, "a store").absolute()
        self._read: Opened
        self._whole: Manifest | None
        self._load()
        self.num_tokens: int = self.head.tokens
        self.num_documents: int = self.head.documents
        self.vocab_size: int = self.head.n_vocab
        self.encoding_name: str = self.head.encoding.name
        self.eot_token: int | None = self.head.end_token
        self.eot: Eot = "none"
        if self.eot_token is not None:
            self.eot = "prepend" if self.head.end_token_first else "append"
        self.bos_token: int | None = self.eot_token if self.eot == "prepend" else None
        if self.head.begin_token is not UNSET:
            self.bos_token = self.head.begin_token
        # Filled on first use. Two threads may both fill an item, with equal maps, which is harmless.
        self._tokens: list[Ids | None] = [None] * self.num_shards
        # The shard and the place after the document that was read last.
        self._next_document = (0, 0)
        self._ends: list[npt.NDArray[np.uint64] | None] = [None] * self.num_shards
        self._masks: list[npt.NDArray[np.uint8] | None] = [None] * self.num_shards
        self._mapped: deque[tuple[FileKind, int]] = deque()
        self._all_ends: npt.NDArray[np.uint64] | None = None

    @property
    def n_vocab(self) -> int:
        """The old name of :attr:`vocab_size`, until version 0.4."""
        from fastprep.system.renamed import warn

        warn("TokenStore.n_vocab is now vocab_size", 2)
        return self.vocab_size

    @property
    def head(self) -> Manifest:
        """The manifest; if it has an index without its shards, and without what is after them."""
        return self._read.manifest

    @property
    def manifest(self) -> Manifest:
        """The facts about the store; those of a manifest with an index are read at the first access."""
        if self._whole is None:
            self._whole = self._load_whole()
        return self._whole

    @property
    def passed_over(self) -> list[PassedOver]:
        """What folders and patterns among the inputs passed over."""
        found = None if self._whole else read_passed_over(self.path, self._read)
        return self.manifest.passed_over if found is None else found

    def check_manifest(self) -> None:
        """Raise InvalidStore if a manifest is not the one of which its index was made."""
        if self._whole is None:  # else it was compared when it was read
            check_digest(self.path, self._read)

    @property
    def num_shards(self) -> int:
        """The number of shards."""
        return len(self.token_starts) - 1

    @property
    def token_starts(self) -> Sequence[int]:
        """Where the tokens of each shard start in the store, and where the last ones end."""
        return self._token_starts

    @property
    def document_starts(self) -> Sequence[int]:
        """The number of the first document of each shard, and the number of all documents."""
        return self._document_starts

    @property
    def max_ids(self) -> Sequence[int]:
        """The largest id of each shard, 0 for a shard without tokens."""
        if self._read.entries is not None:
            return self._read.entries.max_ids
        return [shard.max_id or 0 for shard in self.manifest.shards]

    @property
    def digest(self) -> str:
        """The sha256 of the manifest, without its records of an index and of a place of the files."""
        if self._read.entries is not None:
            return self._read.entries.manifest_sha256
        return manifests.digest(self.manifest)

    def records(self, first: int = 0, last: int | None = None) -> Iterator[ShardRecord]:
        """Yield the records of the shards `first` to `last`, the latter excluded, in constant memory.

        Raises InvalidStore for a record that is damaged or contradicts itself.
        """
        last = self.num_shards if last is None else last
        if self._whole is None:
            found = read_records(self.path, self._read, first, last, ShardRecord)
            if found is not None:
                yield from found
                return
        for number in range(first, last):
            yield self.manifest.shards[number]

    def summaries(self) -> Iterator[ShardRecord | ShardSummary]:
        """Yield the counts and inputs of all shards, in constant memory.

        Raises InvalidStore for a record without them, and for counts that are not those of the index.
        """
        if self._whole is None:
            found = read_records(self.path, self._read, 0, self.num_shards, ShardSummary)
            if found is not None:
                yield from found
                return
        yield from self.manifest.shards

    def record(self, index: int) -> ShardRecord:
        """Return the record of one shard. Raises InvalidStore like :meth:`records`."""
        return next(self.records(index, index + 1))

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The type of the ids."""
        import numpy as np

        return np.dtype(self.head.dtype).newbyteorder("<")

    @property
    def shards(self) -> tuple[Ids, ...]:
        """The ids of each shard: read-only arrays over the mapped files, which may be empty."""
        return tuple(self.shard_ids(index) for index in range(len(self._tokens)))

    @property
    def shard_files(self) -> tuple[Path, ...]:
        """The file of the ids of each shard."""
        return tuple(self.shard_file(index, "bin") for index in range(len(self._tokens)))

    def shard_file(self, index: int, kind: FileKind) -> Path:
        """Return one file of a shard: its ids (``"bin"``), its document ends or its mask."""
        return manifests.shard_path(self.directory, index, kind)

    @property
    def directory(self) -> Path:
        """The directory of all files but the manifest."""
        return manifests.files_directory(self.path, self.head)

    @property
    def shard_sizes(self) -> tuple[int, ...]:
        """The number of ids of each shard."""
        starts = self.token_starts
        return tuple(map(operator.sub, starts[1:], starts))

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
        InvalidIndex
            for anything but an integer; it is a TypeError.

        Examples
        --------
        See :class:`TokenStore`.
        """
        shard, start, stop = self._place_of_document(index)
        ids = self.shard_ids(shard)[start:stop]
        # In order, the faults of a map read ahead.
        if (shard, start) != self._next_document and start < stop:
            will_need(ids)
        self._next_document = shard, stop
        return ids

    def _place_of_document(self, index: int) -> tuple[int, int, int]:
        """Return the shard of a document, and its first token and the end of its last in the shard."""
        try:
            number = operator.index(index)
        except TypeError:
            raise InvalidIndex(
                f"{index!r:.80} is no number of a document of {self.path}; write an integer"
            ) from None
        if number < 0:
            number += self.num_documents
        if not 0 <= number < self.num_documents:
            raise IdOutOfRange(
                f"document {index} of {self.path}, which has {self.num_documents} documents"
            )
        shard = bisect.bisect_right(self._document_starts, number) - 1
        number -= self._document_starts[shard]
        ends = self._shard_ends(shard)
        return shard, int(ends[number - 1]) if number else 0, int(ends[number])

    @property
    def has_mask(self) -> bool:
        """True if the store is of conversations, and records which tokens the assistant wrote."""
        return bool(self.head.messages)

    def shard_mask(self, index: int) -> npt.NDArray[np.uint8]:
        """Return the mask of one shard, a byte per token: 1 where the assistant wrote it, else 0.

        It is a read-only array over the mapped file. Raises InvalidInput if the store has no mask.
        """
        mask = self._masks[index]
        if mask is None:
            import numpy as np

            if not self.has_mask:
                raise InvalidInput(
                    f"{self.path}: it has no mask, because it was not made of conversations; make it "
                    "with messages= (--messages)"
                )
            mask = np.frombuffer(self.shard_content(index, "mask"), np.uint8)
            self._masks[index] = mask
            self._count_map("mask", index)
        return mask

    def document_mask(self, index: int) -> npt.NDArray[np.uint8]:
        """Return which tokens of a conversation the assistant wrote: 1 for those, else 0.

        Parameters
        ----------
        index
            the number of the document; negative ones count from the end.

        Returns
        -------
        numpy.ndarray
            read-only, uint8, as long as :meth:`document` of the same number.

        Raises
        ------
        InvalidInput
            if the store was not made of conversations.
        IdOutOfRange, InvalidIndex
            for a number of no document, as :meth:`document`.

        Examples
        --------
        >>> from fastprep import prepare
        >>> path = tmp / "chats.jsonl"
        >>> _ = path.write_text('{"messages": [{"role": "assistant", "content": "Hi."}]}')
        >>> def spell(messages):
        ...     return [(each["content"], each["role"] == "assistant") for each in messages]
        >>> store = prepare(path, tmp / "store", messages="messages", template=spell, progress=False)
        >>> store.document_mask(0)
        array([1, 1], dtype=uint8)
        """
        shard, start, stop = self._place_of_document(index)
        return self.shard_mask(shard)[start:stop]

    def token_start(self, document: int) -> int:
        """Return the position of a document's first token; of document `num_documents`, the end.

        Raises IdOutOfRange for another number.
        """
        document = whole_number(document, "document", 0, self.num_documents, IdOutOfRange)
        shard = bisect.bisect_right(self._document_starts, document) - 1
        within = document - self._document_starts[shard]
        before = int(self._shard_ends(shard)[within - 1]) if within else 0
        return self._token_starts[shard] + before

    @property
    def is_opened_whole(self) -> bool:
        """True if all files are checked when the store is opened, and not when they are first used."""
        return (
            self._remote is None
            and self._read.entries is None
            and self.num_shards <= _MAX_CHECKED_SHARDS
        )

    def fetch(self, index: int, kind: FileKind) -> None:
        """Copy one file of a shard to the cache, if the store is at a URL and the file is not there.

        Raises InvalidStore if its checksums are not those of the manifest, and InvalidInput if it cannot
        be read.
        """
        if self._remote is not None:
            self._remote.fetch(self.record(index), index, kind)

    def shard_ids(self, index: int) -> Ids:
        """Return the ids of one shard: a read-only array over the mapped file, which may be empty."""
        ids = self._tokens[index]
        if ids is None:
            import numpy as np

            # A plain array: each slice of a np.memmap costs seven times as much.
            ids = np.frombuffer(self.shard_content(index, "bin"), self.dtype)
            self._tokens[index] = ids
            self._count_map("bin", index)
        return ids

    def _count_map(self, kind: FileKind, index: int) -> None:
        """Count a mapped file; if there are too many, let go of the one that was mapped first."""
        self._mapped.append((kind, index))
        # A store that is checked whole may stay mapped whole, so that it outlives its files.
        if len(self._mapped) > MAX_MAPPED and not self.is_opened_whole:
            kind, index = self._mapped.popleft()
            if kind == "mask":
                self._masks[index] = None
            else:
                (self._tokens if kind == "bin" else self._ends)[index] = None

    def shard_content(self, index: int, kind: FileKind, *, private: bool = False) -> memoryview:
        """Map one file of a shard, without numpy: its ids (``"bin"``), its document ends or its mask.

        The buffer is read-only, or with `private` writable, and writes do not reach the file. Raises
        InvalidStore if the file has not the manifest's size, or belongs to another store by now.
        """
        self.fetch(index, kind)
        size = self._size_of(index, kind)
        path, file = self._opened(index, kind)
        try:
            # Checked again, because a read through a map of a file that was truncated ends the process.
            _check_status(path, os.fstat(file), size)
            if size == 0:  # an empty file cannot be mapped
                return memoryview(bytearray() if private else b"")
            return map_file(file, size, private)
        finally:
            os.close(file)

    def _opened(self, index: int, kind: FileKind) -> tuple[Path, int]:
        """Open one file of a shard, where it is now if the store is on its way to another place.

        Raises InvalidStore if the file is missing, or belongs to another store by now.
        """
        while True:
            path = self.shard_file(index, kind)
            try:
                # Without blocking, in case the file was replaced by a pipe.
                file = os.open(path, READ_FLAGS)
            except (FileNotFoundError, NotADirectoryError):
                if not self._is_moved(index, path):
                    self._raise_missing(path)
                continue
            try:
                # After the file was opened: it is another store's only if the manifest changed before.
                self._check_unchanged(index)
                if self.shard_file(index, kind) == path:
                    return path, file
            except BaseException:
                os.close(file)
                raise
            os.close(file)

    def _is_moved(self, index: int, path: Path) -> bool:
        """Return whether a file of a shard has another path by now."""
        if self.path.is_dir():
            self._check_unchanged(index)
        return path.parent != self.directory

    def checked_file(self, index: int, kind: FileKind = "bin") -> tuple[Path, os.stat_result]:
        """Return the file of a shard's ids, or another one, and its status, for reads without a map.

        Raises InvalidStore like :meth:`shard_content`.
        """
        self.fetch(index, kind)
        while True:
            path = self.shard_file(index, kind)
            try:
                status = self._check_file(index, kind)
            except InvalidStore:
                if not self._is_moved(index, path):
                    raise
                continue
            self._check_unchanged(index)
            if self.shard_file(index, kind) == path:
                return path, status

    @cached_property
    def encoding(self) -> Encoding | WordEncoding:
        """The encoding that made the ids: a bundled one, or the one that the store holds.

        Nothing but the store is needed for it. Raises InvalidInput if the store was made by an encoding
        that neither it nor fastprep holds, InvalidStore if the vocabulary in the store is damaged.

        Examples
        --------
        >>> from fastprep import prepare
        >>> _ = (tmp / "one.txt").write_text("One.")
        >>> prepare(tmp / "one.txt", tmp / "store", progress=False).encoding
        <Encoding 'gpt2'>
        """
        from fastprep.store.encodings import encoding_of_store

        return encoding_of_store(self)

    def vocabulary_file(self) -> Path:
        """Return the file of the vocabulary in the store, which a bundled encoding does not need.

        Raises InvalidInput if the store has none.
        """
        record = self.head.vocabulary
        if not record:
            raise InvalidInput(f"{self.path}: it has no file of a vocabulary; use store.encoding")
        if self._remote is not None:
            self._remote.fetch_vocabulary(record)
        return self.directory / record.file

    def text(self, index: int) -> str:
        """Return the text of one document, without the tokens at its ends.

        Bytes that are not UTF-8 become U+FFFD. A word tokenizer's text is the words with spaces
        between them.

        Parameters
        ----------
        index
            the number of the document; negative ones count from the end.

        Raises
        ------
        IdOutOfRange, InvalidIndex
            for a number of no document, as :meth:`document`.
        InvalidInput, InvalidStore
            for the encoding; see :attr:`encoding`.

        Examples
        --------
        >>> from fastprep import prepare
        >>> _ = (tmp / "two.txt").write_text("One.<|endoftext|>Two.")
        >>> prepare(tmp / "two.txt", tmp / "store", progress=False).text(1)
        'Two.'
        """
        return self.encoding.decode(self.without_ends(self.document(index)))

    def without_ends(self, ids: Any) -> Any:
        """Return the ids of a document without those before and after its text."""
        if self.bos_token is not None and len(ids) and ids[0] == self.bos_token:
            ids = ids[1:]
        if self.eot == "append" and len(ids) and ids[-1] == self.eot_token:
            ids = ids[:-1]
        return ids

    def documents(self) -> Documents[Ids]:
        """Return the ids of all documents as a sequence; each is what :meth:`document` returns.

        Nothing is read until a document is asked for. It has a length, takes indices and slices, and
        may be iterated.

        Examples
        --------
        >>> from fastprep import prepare
        >>> _ = (tmp / "two.txt").write_text("One.<|endoftext|>Two.")
        >>> documents = prepare(tmp / "two.txt", tmp / "store", progress=False).documents()
        >>> [len(document) for document in documents[1:]]
        [3]
        """
        from fastprep.store.views import Documents

        return Documents(self, self.document, range(self.num_documents))

    def texts(self) -> Documents[str]:
        """Return the texts of all documents as a sequence, like :meth:`documents`; see :meth:`text`."""
        from fastprep.store.views import Documents

        return Documents(self, self.text, range(self.num_documents))

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of what the store holds: stores of equal fingerprint are equal.

        It covers the encoding, the end token, and the checksums of ids and document ends of each shard,
        as the manifest records them; not the path, nor where the text came from. The same documents in
        shards of other sizes have another fingerprint.
        """
        from fastprep.store.views import fingerprint_of

        return fingerprint_of(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TokenStore):
            return NotImplemented
        return self is other or (
            self.num_tokens == other.num_tokens and self.fingerprint == other.fingerprint
        )

    def __hash__(self) -> int:
        # Of what equal stores share and the head of the manifest has: a fingerprint reads the checksums
        # of all shards, which takes seconds for 250,000 of them.
        return hash((TokenStore, self.num_tokens, self.num_documents))

    def to_arrow(self, column: str = "input_ids") -> Any:
        """Return the documents as a table of pyarrow with one column, a list of ids per document.

        Parameters
        ----------
        column
            the name of the column.

        Returns
        -------
        pyarrow.Table
            one chunk per shard, of ``list<uint16>`` or ``list<uint32>``, or ``large_list`` of these
            for shards of 2**31 ids and more. Of conversations there is a second column,
            ``assistant_masks``, of ``list<uint8>``: 1 for each token that the assistant wrote. The
            ids are the mapped files, without a copy; only the offsets are made, 4 or 8 bytes per
            document.

        Raises
        ------
        MissingExtra
            if pyarrow is not installed.

        Examples
        --------
        >>> from fastprep import prepare
        >>> _ = (tmp / "two.txt").write_text("One.<|endoftext|>Two.")
        >>> prepare(tmp / "two.txt", tmp / "store", progress=False).to_arrow()["input_ids"].to_pylist()
        [[3198, 13, 50256], [7571, 13, 50256]]
        """
        from fastprep.store.views import to_arrow

        return to_arrow(self, column)

    def to_dataset(self, column: str = "input_ids") -> Any:
        """Return the documents as a ``datasets.Dataset`` of Hugging Face with one column of ids.

        The ids are the mapped files, as in :meth:`to_arrow`. Raises MissingExtra if datasets or pyarrow
        is not installed.
        """
        from fastprep.store.views import to_dataset

        return to_dataset(self, column)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        from fastprep.store.views import to_array

        return to_array(self, dtype, copy)

    def __dlpack__(self, **options: Any) -> Any:
        # A copy: tensors are writable, and a write to a map of a file ends the process.
        return self.__array__(copy=True).__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0  # the CPU

    def __arrow_array__(self, type: Any = None) -> Any:
        import pyarrow as pa  # type: ignore[import-untyped]

        return pa.array(self[:], type=type)

    def __len__(self) -> int:
        return self.num_tokens

    def __iter__(self) -> Iterator[int]:
        for start in range(0, self.num_tokens, _ITERATED):
            yield from self[start : start + _ITERATED].tolist()

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice | Sequence[int] | npt.NDArray[Any]) -> Ids: ...
    def __getitem__(self, key: Any) -> int | Ids:
        if isinstance(key, slice):
            try:
                start, stop, step = key.indices(self.num_tokens)
            except TypeError:
                self._raise_wrong_index(key)
            if step > 0:
                return self._range(start, stop)[::step]
            return self._range(stop + 1, start + 1)[::step]
        try:
            position = operator.index(key)
        except TypeError:
            return self._take(key)
        if key is True or key is False:
            self._raise_wrong_index(key)
        if position < 0:
            position += self.num_tokens
        if not 0 <= position < self.num_tokens:
            raise IdOutOfRange(f"token {key} of {self.path}, which has {self.num_tokens} tokens")
        shard = bisect.bisect_right(self._token_starts, position) - 1
        return int(self.shard_ids(shard)[position - self._token_starts[shard]])

    def __repr__(self) -> str:
        return (
            f"TokenStore({self._url or str(self.path)!r}: {self.num_tokens} tokens, "
            f"{self.num_documents} documents, {self.encoding_name}, {self.head.dtype})"
        )

    def _repr_html_(self) -> str:
        from fastprep.store.views import as_html

        return as_html(self)

    def __reduce__(self) -> tuple[Any, tuple[type[TokenStore], Path | str, int]]:
        return _reopened, (type(self), self._url or self.path, self._checksum())

    def _checksum(self) -> int:
        """Return a checksum of the checksums of all files, or of a manifest that has an index."""
        if self._read.entries is not None:
            return crc32(self.digest.encode())
        kinds = manifests.kinds_of(self.head)
        shards = self.manifest.shards
        return crc32(repr([tuple(map(shard.checksums, kinds)) for shard in shards]).encode())

    def _take(self, key: Any) -> Ids:
        """Return the ids at an array of positions, in the shape of the array, or those of a mask."""
        import numpy as np

        if key is Ellipsis:
            return self[:]
        try:
            positions = np.asarray(key)
        except (TypeError, ValueError):  # lists of different lengths
            self._raise_wrong_index(key)
        if positions.dtype.kind == "b" and positions.shape == (self.num_tokens,):
            positions = np.flatnonzero(positions)
        elif positions.size == 0 and isinstance(key, list):
            positions = positions.astype(np.int64)  # numpy gives an empty list the dtype float64
        elif positions.dtype.kind not in "iu" or isinstance(key, tuple):
            self._raise_wrong_index(key)
        wrong = positions >= self.num_tokens
        if positions.dtype.kind == "i":
            wrong |= positions < -self.num_tokens
        if wrong.any():
            raise IdOutOfRange(
                f"token {positions[wrong][0]} of {self.path}, which has {self.num_tokens} tokens"
            )
        places = positions.astype(np.int64).ravel()
        places[places < 0] += self.num_tokens
        ids: Ids = np.empty(len(places), self.dtype)
        # Each shard is read once, in the order of the shards.
        shards = np.searchsorted(np.array(self._token_starts), places, "right") - 1
        order = np.argsort(shards, kind="stable")
        first_of_each = np.flatnonzero(np.diff(shards[order], prepend=-1))
        for part in np.split(order, first_of_each[1:]) if len(order) else ():
            shard = int(shards[part[0]])
            ids[part] = self.shard_ids(shard)[places[part] - self._token_starts[shard]]
        return ids.reshape(positions.shape)

    def _raise_wrong_index(self, key: Any) -> NoReturn:
        shape = getattr(key, "shape", None)
        what = f"an array of the shape {list(shape)}" if shape is not None else repr(key)[:80]
        raise InvalidIndex(
            f"{what} does not select tokens of {self.path}; write an integer, a slice, a list or array "
            f"of integers, or a mask of {self.num_tokens} booleans"
        )

    def _range(self, start: int, stop: int) -> Ids:
        if start >= stop:
            import numpy as np

            return np.empty(0, self.dtype)
        # Of shards that start at one position only the last has tokens: bisect_right finds it.
        shard = bisect.bisect_right(self._token_starts, start) - 1
        first = self._token_starts[shard]
        if stop <= self._token_starts[shard + 1]:
            return self.shard_ids(shard)[start - first : stop - first]
        import numpy as np

        ids: Ids = np.empty(stop - start, self.dtype)
        filled = 0
        while filled < len(ids):
            first, end = self._token_starts[shard], self._token_starts[shard + 1]
            part = self.shard_ids(shard)[start + filled - first : min(stop, end) - first]
            ids[filled : filled + len(part)] = part
            filled += len(part)
            shard += 1
        return ids

    def shard_document_ends(self, index: int) -> npt.NDArray[np.uint64]:
        """Return the document ends of one shard, in tokens from its start: a mapped file."""
        return self._shard_ends(index)

    def _shard_ends(self, index: int) -> npt.NDArray[np.uint64]:
        ends = self._ends[index]
        if ends is None:
            import numpy as np

            ends = np.frombuffer(self.shard_content(index, "ends"), np.dtype("<u8"))
            self._ends[index] = ends
            self._count_map("ends", index)
        return ends

    def _load(self) -> None:
        """Read the manifest and check the files; again if the store was replaced by then."""
        while True:
            self._read = open_manifest(self.path)
            index = self._read.entries
            self._whole = self._read.manifest if index is None else None
            self._token_starts: Sequence[int]
            self._document_starts: Sequence[int]
            if index is None:
                shards = self._read.manifest.shards
                self._token_starts = manifests.offsets(shard.tokens for shard in shards)
                self._document_starts = manifests.offsets(shard.documents for shard in shards)
            else:
                self._token_starts, self._document_starts = index[:2]
            try:
                self._check_files()
            except InvalidStore:
                path = self.path / manifests.MANIFEST
                # One of the parts of a store that was replaced by one without parts is gone.
                if not path.exists() or FileIdentity.of(path.stat()) == self._read.identity:
                    raise
            else:
                return

    def _load_whole(self) -> Manifest:
        """Read the manifest that has an index, or the same part of one that was appended to since."""
        path = self.path / manifests.MANIFEST
        found, identity = manifests.read(self.path)
        whole = structs.replace(
            self.head, shards=found.shards[: self.num_shards], passed_over=found.passed_over
        )
        if manifests.digest(whole) != self.digest:
            raise InvalidStore(
                f"{path}: not the manifest of its index; {HOW_TO_FIX}"
                if identity == self._read.identity
                else f"{path}: describes other shards; {_REOPEN}"
            )
        return whole

    def _size_of(self, index: int, kind: FileKind) -> int:
        """Return the size in bytes that one file of a shard must have."""
        if kind == "ends":
            return 8 * (self._document_starts[index + 1] - self._document_starts[index])
        tokens = self._token_starts[index + 1] - self._token_starts[index]
        return tokens if kind == "mask" else tokens * manifests.itemsize_of(self.head.dtype)

    def _check_files(self) -> None:
        """Check the size of each file, or of a store of many shards only that it exists."""
        if self._remote is not None or self._read.entries is not None:
            return  # checked when they are copied, or first used
        kinds = manifests.kinds_of(self.head)
        names = None if self.is_opened_whole else {*os.listdir(self.directory)}  # noqa: PTH208
        for index in range(self.num_shards):
            for kind in kinds:
                if names is None:
                    self._check_file(index, kind)
                elif f"shard-{index:05d}.{kind}" not in names:
                    self._raise_missing(self.shard_file(index, kind))

    def _check_file(self, index: int, kind: FileKind) -> os.stat_result:
        """Check the size of one file of a shard against the manifest, and return its status."""
        path = self.shard_file(index, kind)
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            self._raise_missing(path)
        _check_status(path, status, self._size_of(index, kind))
        return status

    def _check_unchanged(self, index: int) -> None:
        """Raise InvalidStore if the manifest in the directory describes a shard differently by now."""
        path = self.path / manifests.MANIFEST
        try:
            identity = FileIdentity.of(path.stat())
        except (FileNotFoundError, NotADirectoryError):
            raise InvalidStore(f"{path}: missing; {_REOPEN}") from None
        if identity == self._read.identity:
            return
        # A copy that was restored, or a manifest with more shards, is no other store.
        if self._read.entries is not None:
            self._whole = self._load_whole()
        manifest, identity = manifests.read(self.path)
        records = manifest.shards[index : index + 1]
        if records != [self.manifest.shards[index]] or manifest.dtype != self.head.dtype:
            raise InvalidStore(f"{path}: describes other shards; {_REOPEN}")
        # A store that replaces another one is at its place by now.
        head = structs.replace(self.head, files=manifest.files)
        self._read = self._read._replace(manifest=head, identity=identity)
        if self._read.entries is None:
            self._whole = head

    def _raise_missing(self, path: Path) -> NoReturn:
        if not self.path.is_dir():
            raise InvalidStore(
                f"{path}: missing, with its directory, which was moved, removed or unmounted since the "
                "store was opened; open the store where it is now"
            ) from None
        raise InvalidStore(f"{path}: missing, though the manifest lists it; {HOW_TO_FIX}") from None


def _check_status(path: Path, status: os.stat_result, size: int) -> None:
    """Raise InvalidStore unless a status is that of a regular file of this size."""
    if not stat.S_ISREG(status.st_mode):
        raise InvalidStore(f"{path}: not a regular file; {HOW_TO_FIX}")
    if status.st_size != size:
        raise InvalidStore(
            f"{path}: {status.st_size} bytes, but the manifest says {size}; {HOW_TO_FIX}"
        )


def _reopened(kind: type[TokenStore], path: Path | str, checksum: int) -> TokenStore:
    """Open a store that another process has sent. Raises InvalidStore if it was replaced since."""
    store = kind(path)
    if store._checksum() != checksum:
        raise InvalidStore(
            f"{path}: another store than the one that was sent to this process: it was replaced or "
            "appended to; open it again"
        )
    return store
