"""Views of a store: its documents as a sequence, its ids as an array, as a table of Arrow, as HTML."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from msgspec import UNSET

from fastprep.errors import FastprepError, IdOutOfRange, InvalidIndex, InvalidInput, MissingExtra
from fastprep.store.manifest import kinds_of
from fastprep.system.arrow import pyarrow

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastprep.store.reader import TokenStore

Item = TypeVar("Item")

#: The column of the masks of conversations, by the name that trl gives it.
MASK_COLUMN = "assistant_masks"
# Tokens that a notebook shows.
_SHOWN = 100
# Lists with 32-bit offsets hold fewer values.
_MAX_OFFSET = (1 << 31) - 1


class Documents(Sequence[Item], Generic[Item]):
    """The documents of a store as a sequence, each of which is read when it is asked for.

    :meth:`fastprep.TokenStore.documents` and :meth:`fastprep.TokenStore.texts` return it. A slice of
    it is another one. It keeps no document.

    Parameters
    ----------
    store
        the store.
    read
        returns the document of a number.
    numbers
        the numbers of the documents, of which there are ``len(numbers)``.

    Examples
    --------
    >>> from fastprep import prepare
    >>> _ = (tmp / "two.txt").write_text("One.<|endoftext|>Two.")
    >>> texts = prepare(tmp / "two.txt", tmp / "store", progress=False).texts()
    >>> len(texts), texts[-1], list(texts[:1])
    (2, 'Two.', ['One.'])
    """

    def __init__(self, store: TokenStore, read: Callable[[int], Item], numbers: range) -> None:
        self._store = store
        self._read = read
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Documents[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Documents[Item]:
        if isinstance(index, slice):
            return Documents(self._store, self._read, self._numbers[index])
        try:
            number = self._numbers[index]
        except TypeError:
            raise InvalidIndex(
                f"{index!r:.80} is no number of a document; write an integer or a slice"
            ) from None
        except IndexError:
            raise IdOutOfRange(
                f"document {index} of {len(self)} documents of {self._store.path}"
            ) from None
        return self._read(number)

    def __iter__(self) -> Iterator[Item]:
        return map(self._read, self._numbers)

    def __repr__(self) -> str:
        return f"<{len(self)} documents of {self._store!r}>"


def to_array(store: TokenStore, dtype: Any, copy: bool | None) -> npt.NDArray[Any]:
    """Return the ids as an array: the mapped file if one shard has all of them, else one copy.

    Raises ValueError, as numpy's protocol asks, if `copy` is False and a copy is needed.
    """
    import numpy as np

    wanted = store.dtype if dtype is None else np.dtype(dtype)
    filled = [index for index, size in enumerate(store.shard_sizes) if size]
    if len(filled) <= 1 and wanted == store.dtype and not copy:
        return store[:]
    if copy is False:
        raise ValueError(
            f"{store.path}: ids in several shards, or of another dtype, are no array without a copy"
        )
    ids = np.empty(store.num_tokens, wanted)
    start = 0
    for index in filled:
        part = store.shard_ids(index)
        ids[start : start + len(part)] = part
        start += len(part)
    return ids


def to_arrow(store: TokenStore, column: str) -> Any:
    """Return the documents as a table; see :meth:`fastprep.TokenStore.to_arrow`."""
    import numpy as np

    pa = pyarrow("to_arrow")
    ids_type = pa.from_numpy_dtype(store.dtype)
    longest = max(store.shard_sizes, default=0)
    wide = longest > _MAX_OFFSET
    kind = pa.large_list(ids_type) if wide else pa.list_(ids_type)
    lists = pa.LargeListArray if wide else pa.ListArray
    chunks, masks = [], []
    for index, (size, ends) in enumerate(zip(store.shard_sizes, store.shard_ends, strict=True)):
        if len(ends) and int(ends[-1]) > size:
            raise InvalidInput(
                f"{store.path}: shard {index} has a document that ends after its {size} ids; "
                "run `fastprep verify`"
            )
        offsets = np.zeros(len(ends) + 1, np.int64 if wide else np.int32)
        offsets[1:] = ends
        values = pa.Array.from_buffers(ids_type, size, [None, pa.py_buffer(store.shard_ids(index))])
        chunks.append(lists.from_arrays(pa.array(offsets), values))
        if store.has_mask:
            mask = pa.py_buffer(store.shard_mask(index))
            bits = pa.Array.from_buffers(pa.uint8(), size, [None, mask])
            masks.append(lists.from_arrays(pa.array(offsets), bits))
    if not chunks:
        chunks = [pa.array([], kind)]
    columns = {column: pa.chunked_array(chunks, kind)}
    if masks:
        columns[MASK_COLUMN] = pa.chunked_array(masks)
    return pa.table(columns)


def to_dataset(store: TokenStore, column: str) -> Any:
    """Return the documents as a data set of Hugging Face; see :meth:`fastprep.TokenStore.to_dataset`."""
    try:
        from datasets import Dataset  # type: ignore[import-not-found, import-untyped, unused-ignore]
        from datasets.table import (  # type: ignore[import-not-found, import-untyped, unused-ignore]
            InMemoryTable,
        )
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "datasets":
            raise
        raise MissingExtra(
            "to_dataset needs the package datasets: pip install datasets", name="datasets"
        ) from None
    fingerprint = hashlib.sha256(f"{store.fingerprint} {column}".encode()).hexdigest()[:16]
    return Dataset(InMemoryTable(to_arrow(store, column)), fingerprint=fingerprint)


def assistant_tokens(store: TokenStore) -> int:
    """Return the number of tokens that the assistant wrote, by the manifest of a store with a mask."""
    return sum(record.mask_tokens or 0 for record in store.records())


def fingerprint_of(store: TokenStore) -> str:
    """Return the sha256 of what a store holds, from the facts and checksums in its manifest."""
    manifest = store.head
    record = manifest.encoding
    digest = hashlib.sha256()
    facts = (
        *(manifest.dtype, manifest.n_vocab, record.rank_table_sha256, record.pattern),
        *(sorted(record.special_tokens.items()), manifest.end_token, manifest.end_token_first),
    )
    digest.update(repr(facts).encode())
    if manifest.begin_token is not UNSET:
        digest.update(f"begin_token {manifest.begin_token}".encode())
    for shard in store.records():
        if shard.documents:
            checksums = [*map(shard.checksums, kinds_of(manifest))]
            digest.update(repr((shard.tokens, shard.documents, *checksums)).encode())
    return digest.hexdigest()


def as_html(store: TokenStore) -> str:
    """Return the facts about a store and its first tokens as HTML, for a notebook."""
    from fastprep.encoding.shown import facts_html, tokens_html

    record = store.head.encoding
    end = {"append": "after each document", "prepend": "before each document", "none": ""}[
        store.eot
    ]
    facts: list[tuple[str, object]] = [
        ("tokens", store.num_tokens),
        ("documents", store.num_documents),
        ("encoding", f"{record.name}, {store.vocab_size:,} ids"),
        ("end token", f"{store.eot_token} {end}" if end else "none"),
        *([] if store.bos_token is None else [("begin token", store.bos_token)]),
        ("ids on disk", f"{store.head.dtype}, {len(store.shard_sizes):,} shards"),
        ("path", store._url or store.path),
    ]
    if store.has_mask:
        facts.insert(2, ("assistant's tokens", assistant_tokens(store)))
    shown = ""
    if store.num_tokens:
        try:
            bytes_of = store.encoding.decode_single_token_bytes
            between = " " if record.kind == "words" else ""
            ids = store[:_SHOWN].tolist()
            shown = tokens_html(ids, bytes_of, record.special_tokens.values(), between)
        except (FastprepError, KeyError, OSError) as error:
            facts.append(("first tokens", f"cannot be shown: {error}"))
    return facts_html("TokenStore", facts, shown)
