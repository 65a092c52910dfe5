"""verify: read a whole store again and hold it against its manifest, or against another library."""

from __future__ import annotations

import random
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from fastprep import corpus
from fastprep.errors import InvalidInput, InvalidStore
from fastprep.manifest import BlockChecksum, ShardRecord, block_ranges, shard_path
from fastprep.oracles import ORACLES, Oracle, check_made_with, published
from fastprep.spans import Format
from fastprep.store import TokenStore
from fastprep.store_encoding import StoreEncoding

_MEND = "restore it from a copy, or run `fastprep prepare` again with --overwrite"


class Verified(NamedTuple):
    """What was looked at and found right: ``compared`` documents were encoded again."""

    tokens: int
    documents: int
    compared: int


def verify(
    store: TokenStore | str | PathLike[str],
    *,
    against: Literal["tiktoken", "tokenizers", "notebook"] | None = None,
    sample: int | None = None,
    encoding: StoreEncoding | None = None,
    report: Callable[[int], object] = lambda _: None,
) -> Verified:
    """Read every byte of a store and check it.

    Checked are the sizes and checksums of all files; that every id is inside the vocabulary and
    none above the largest one recorded; that document ends do not fall and the last one is the
    number of tokens; and that the end token, where there is one, stands at the end of each
    document and nowhere else.

    Parameters
    ----------
    store
        a store or its path.
    against
        ``"tiktoken"``, ``"tokenizers"`` or, for words, ``"notebook"`` also reads the recorded inputs
        again, encodes their documents with that library, from the encoding's own tables, and compares
        id by id.
    sample
        how many documents to compare, drawn with a fixed seed; by default all.
    encoding
        what the store was made with. Needed to compare where that is none of the published ones;
        wherever it is given it must have the tables, pattern and special tokens of the manifest.
    report
        is called with each number of bytes that was read.

    Raises
    ------
    InvalidStore
        for the first fault, naming file and place.
    InvalidInput
        when an input to compare with is missing or has changed its size, or the encoding is not
        the one that the store was made with.
    FastprepError
        when the library to compare with is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from fastprep.preparing import prepare
    >>> directory = Path(tempfile.mkdtemp())
    >>> _ = (directory / "two.txt").write_text("One.<|endoftext|>Two.")
    >>> store = prepare(directory / "two.txt", directory / "store", progress=False)
    >>> verify(store, against="tiktoken")
    Verified(tokens=6, documents=2, compared=2)
    """
    if against not in (None, *ORACLES):
        raise InvalidInput(f"against is {against!r}; the known oracles are {', '.join(ORACLES)}")
    if sample is not None and sample < 0:
        raise InvalidInput(f"sample is {sample}; it must be at least 0")
    opened = store if isinstance(store, TokenStore) else TokenStore(store)
    if against is not None and encoding is None:
        encoding = published(opened)
    if encoding is not None:
        check_made_with(opened, encoding)
    for index, record in enumerate(opened.manifest.shards):
        _check_ends(opened, index, record, report)
        _check_ids(opened, index, record, report)
    compared = 0
    if against is not None and encoding is not None:
        compared = _compare(opened, against, ORACLES[against](encoding), sample)
    return Verified(opened.num_tokens, opened.num_documents, compared)


def _check_ends(
    store: TokenStore, index: int, record: ShardRecord, report: Callable[[int], object]
) -> None:
    path = shard_path(store.path, index, "ends")
    # With an end token no document is without tokens, so each end is above the one before it.
    too_early = np.less if store.eot_token is None else np.less_equal
    before = 0
    with path.open("rb") as file:
        for number, (start, stop) in enumerate(block_ranges(record.documents, 8)):
            ends = _read_block(file, path, np.dtype("<u8"), start, stop, record.ends_crc32[number])
            report(ends.nbytes)
            wrong = too_early(ends, np.concatenate([np.array([before], ends.dtype), ends[:-1]]))
            if wrong.any():
                document = int(wrong.argmax())
                raise InvalidStore(
                    f"{path}: document {start + document} ends at token {ends[document]}, too "
                    f"early after the document before it; {_MEND}"
                )
            before = int(ends[-1])
    if before != record.tokens:
        raise InvalidStore(
            f"{path}: the last document ends at token {before}, but the shard has "
            f"{record.tokens}; {_MEND}"
        )


def _check_ids(
    store: TokenStore, index: int, record: ShardRecord, report: Callable[[int], object]
) -> None:
    path = shard_path(store.path, index, "bin")
    ends = store._shard_ends(index)
    largest = -1
    with path.open("rb") as file:
        blocks = block_ranges(record.tokens, store.dtype.itemsize)
        for number, (start, stop) in enumerate(blocks):
            ids = _read_block(file, path, store.dtype, start, stop, record.bin_crc32[number])
            report(ids.nbytes)
            largest = max(largest, int(ids.max()))
            if largest >= store.n_vocab:
                place = int((ids >= store.n_vocab).argmax())
                raise InvalidStore(
                    f"{path}: token {start + place} is {ids[place]}, outside the vocabulary of "
                    f"{store.n_vocab} ids; {_MEND}"
                )
            if store.eot_token is not None:
                # The ends after `start` and not after `stop` close a document in this block.
                low, high = np.searchsorted(ends, np.array([start, stop], np.uint64), "right")
                closing = ids[(ends[low:high] - np.uint64(start + 1)).astype(np.int64)]
                wrong = closing != store.eot_token
                if wrong.any():
                    document = int(low) + int(wrong.argmax())
                    raise InvalidStore(
                        f"{path}: document {document} of the shard is not closed by the end token "
                        f"{store.eot_token}; {_MEND}"
                    )
                if np.count_nonzero(ids == store.eot_token) != high - low:
                    raise InvalidStore(
                        f"{path}: the end token {store.eot_token} stands inside a document, "
                        f"somewhere in tokens {start} to {stop}; {_MEND}"
                    )
    recorded = -1 if record.max_id is None else record.max_id
    if largest != recorded:
        raise InvalidStore(
            f"{path}: its largest id is {largest}, but the manifest says {recorded}; {_MEND}"
        )


def _read_block(
    file: Any, path: Path, dtype: np.dtype[Any], start: int, stop: int, expected: int
) -> Any:
    """The next items of a file, from ``start`` to ``stop``, after their checksum is found right."""
    # Read, not mapped: a failing disk is then an OSError and not the end of the process.
    content = file.read((stop - start) * dtype.itemsize)
    checksum = BlockChecksum()
    checksum.update(content)
    if len(content) != (stop - start) * dtype.itemsize or checksum.values() != [expected]:
        first = start * dtype.itemsize
        found = ", ".join(f"{value:08x}" for value in checksum.values()) or "nothing"
        raise InvalidStore(
            f"{path}: bytes {first} to {stop * dtype.itemsize} are damaged: their crc32 is "
            f"{found}, but the manifest says {expected:08x}; {_MEND}"
        )
    return np.frombuffer(content, dtype)


def _compare(store: TokenStore, against: str, oracle: Oracle, sample: int | None) -> int:
    """Encode the recorded documents again with the oracle; the number of those compared."""
    form = Format(separator=store.manifest.separator, field=store.manifest.field)
    chosen: set[int] | None = None
    if sample is not None and sample < store.num_documents:
        chosen = set(random.Random(0).sample(range(store.num_documents), sample))
    closing = [] if store.eot_token is None else [store.eot_token]
    number = compared = 0
    for index, record in enumerate(store.manifest.shards):
        for span in record.inputs:
            if corpus.whole(span.path).size != span.size:
                raise InvalidInput(
                    f"{span.path}: its size is no longer {span.size}, as it was when the store was "
                    "made; bring back that file to compare with it"
                )
        stop = number + record.documents
        for document in corpus.documents(record.inputs, form):
            if number == stop:
                raise InvalidStore(
                    f"{shard_path(store.path, index, 'ends')}: its inputs have more than "
                    f"{record.documents} documents: they changed, or documents were lost"
                )
            if chosen is None or number in chosen:
                expected = [*oracle(document.decode()), *closing]
                _check_document(store, number, expected, against)
                compared += 1
            number += 1
        if number != stop:
            raise InvalidStore(
                f"{shard_path(store.path, index, 'ends')}: its inputs have {stop - number} fewer "
                f"than {record.documents} documents: they changed, or documents were added"
            )
    return compared


def _check_document(store: TokenStore, number: int, expected: list[int], against: str) -> None:
    found = store.document(number).tolist()
    if found == expected:
        return
    place = 0
    while place < min(len(found), len(expected)) and found[place] == expected[place]:
        place += 1
    raise InvalidStore(
        f"{store.path}: document {number} differs from {against}'s at its token {place}: "
        f"{found[place : place + 5]} in the store, {expected[place : place + 5]} from {against}"
    )
