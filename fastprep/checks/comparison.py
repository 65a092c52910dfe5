"""Comparison of a store's ids with those of another library for the same documents."""

from __future__ import annotations

import random
from collections.abc import Iterator

from msgspec import UNSET

from fastprep.checks.oracles import Oracle
from fastprep.checks.sources import Sources
from fastprep.corpus import reader as corpus
from fastprep.corpus.documents import Format, Span
from fastprep.errors import InvalidStore
from fastprep.store.manifest import shard_path
from fastprep.store.reader import TokenStore
from fastprep.store.validation import ValidationDraw, hash_of

# Keys computed at a time.
_KEYS = 1 << 12


def compare(
    store: TokenStore, against: str, oracle: Oracle, sample: int | None, sources: Sources
) -> int:
    """Encode the recorded documents again with an oracle, and count the documents compared.

    The inputs of the store must still exist. `against` is the name of the oracle in errors; `sample`
    is the number of documents to compare, drawn with a fixed seed, or None for all. `sources` says which
    inputs may be read.

    Raises InvalidStore for the first document that differs, and if there are more or fewer of them;
    InvalidInput if an input may not be read, is missing, has changed its size, or does not contain
    text. For an example see :func:`fastprep.verify`.
    """
    chosen: set[int] | None = None
    if sample is not None and sample < store.num_documents:
        chosen = set(random.Random(0).sample(range(store.num_documents), sample))
    part = store.head.part
    if store.head.shuffle is not UNSET or (
        part is not None and part.validation_documents is not UNSET
    ):
        return _compare_ordered(store, against, oracle, chosen, sources)
    number = compared = 0
    form = _format_of(store)
    for index, record in enumerate(store.records()):
        spans = [sources.find(span, form) for span in record.inputs]
        stop = number + record.documents
        for document in _documents(store, spans):
            if number == stop:
                raise InvalidStore(
                    f"{shard_path(store.path, index, 'ends')}: its inputs have more than "
                    f"{record.documents} documents: they changed, or documents were lost"
                )
            if chosen is None or number in chosen:
                _check_document(store, number, oracle(document), against)
                compared += 1
            number += 1
        if number != stop:
            raise InvalidStore(
                f"{shard_path(store.path, index, 'ends')}: its inputs have {stop - number} fewer "
                f"than {record.documents} documents: they changed, or documents were added"
            )
    return compared


def _format_of(store: TokenStore) -> Format:
    """Return how documents are stored in the inputs of a store."""
    manifest = store.head
    return Format(
        manifest.separator,
        manifest.field,
        manifest.on_error,
        manifest.input_format,
        manifest.zstd_window,
    )


def _compare_ordered(
    store: TokenStore,
    against: str,
    oracle: Oracle,
    chosen: set[int] | None,
    sources: Sources,
) -> int:
    """Compare a store whose documents were put in order when it was made.

    The inputs are read twice: for the keys of the store's documents, which are 8 bytes each in
    memory, and to compare each document with the one at the place that its key has among them.
    """
    from bisect import bisect_left

    import numpy as np

    form = _format_of(store)
    tasks = [[sources.find(span, form) for span in record.inputs] for record in store.records()]
    limit = _limit_of_part(store, tasks)
    is_validation = store.head.part is not None and store.head.part.name == "validation"

    def own() -> Iterator[tuple[int, str]]:
        for key, hashed, text in _keyed_documents(store, tasks):
            if limit is None or ((hashed, key) <= limit) == is_validation:
                yield key, text

    keys = np.fromiter((key for key, _ in own()), np.uint64)
    if len(keys) != store.num_documents:
        raise InvalidStore(
            f"{store.path}: it has {store.num_documents} documents, but its inputs {len(keys)}: they "
            "changed, or documents were added or lost"
        )
    keys.sort()
    compared = 0
    for key, text in own():
        number = bisect_left(keys, key)
        if chosen is None or number in chosen:
            _check_document(store, number, oracle(text), against)
            compared += 1
    return compared


def _limit_of_part(store: TokenStore, tasks: list[list[Span]]) -> tuple[int, int] | None:
    """Return the hash and the key of the last document for validation, or None without parts."""
    import heapq

    part = store.head.part
    if part is None:
        return None
    if part.validation_documents is UNSET:
        return ValidationDraw(part.validation).limit
    drawn = ((hashed, key) for key, hashed, _ in _keyed_documents(store, tasks))
    return heapq.nsmallest(part.validation_documents, drawn)[-1]


def _keyed_documents(store: TokenStore, tasks: list[list[Span]]) -> Iterator[tuple[int, int, str]]:
    """Yield key, hash and text of each document that the inputs of a store have, in their order."""
    from fastprep.store.order import order_keys

    manifest = store.head
    seed = None if manifest.shuffle is UNSET else manifest.shuffle
    for task, spans in enumerate(tasks):
        keys: list[int] = []
        for number, text in enumerate(_texts(store, spans)):
            if number % _KEYS == 0:
                keys = order_keys(seed, task, number, _KEYS).tolist()
            hashed = 0 if manifest.part is None else hash_of(text.encode())
            yield keys[number % _KEYS], hashed, text


def _documents(store: TokenStore, spans: list[Span]) -> Iterator[str]:
    """Yield the documents of a shard's spans, without those that it left out."""
    manifest = store.head
    draw = None if manifest.part is None else ValidationDraw(manifest.part.validation)
    for text in _texts(store, spans):
        if draw is not None and manifest.part is not None:
            drawn = draw.is_validation(text.encode())
            if drawn != (manifest.part.name == "validation"):
                continue
        yield text


def _texts(store: TokenStore, spans: list[Span]) -> Iterator[str]:
    """Yield the documents of all parts in the spans of a shard, without those that were left out."""
    form = _format_of(store)
    for document in corpus.documents(spans, form):
        try:
            text = document.decode("utf-8", "replace" if form.on_error == "replace" else "strict")
        except UnicodeDecodeError:
            if form.on_error == "raise":
                raise
            continue
        yield text


def _check_document(store: TokenStore, number: int, ids: list[int], against: str) -> None:
    before = [] if store.bos_token is None else [store.bos_token]
    after = [store.eot_token] if store.eot == "append" and store.eot_token is not None else []
    expected = [*before, *ids, *after]
    found = store.document(number).tolist()
    if found == expected:
        return
    pairs = enumerate(zip(found, expected, strict=False))
    place = next((place for place, (a, b) in pairs if a != b), min(len(found), len(expected)))
    # One id, not a text's: a store may come from someone who wants to know what a file holds.
    raise InvalidStore(
        f"{store.path}: document {number} differs from {against}'s at its token {place}: "
        f"{_id_at(found, place)} in the store, {_id_at(expected, place)} from {against}"
    )


def _id_at(ids: list[int], place: int) -> str:
    return str(ids[place]) if place < len(ids) else "no more tokens"
