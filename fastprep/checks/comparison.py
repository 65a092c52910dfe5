"""Comparison of a store's ids with those of another library for the same documents."""

from __future__ import annotations

import random
from collections.abc import Iterator

from fastprep.checks.oracles import Oracle
from fastprep.checks.sources import Sources
from fastprep.corpus import reader as corpus
from fastprep.corpus.documents import Format, Span
from fastprep.errors import InvalidStore
from fastprep.store.manifest import shard_path
from fastprep.store.reader import TokenStore
from fastprep.store.validation import ValidationDraw


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
    token = [] if store.eot_token is None else [store.eot_token]
    number = compared = 0
    form = _format_of(store)
    for index, record in enumerate(store.manifest.shards):
        spans = [sources.find(span, form) for span in record.inputs]
        stop = number + record.documents
        for document in _documents(store, spans):
            if number == stop:
                raise InvalidStore(
                    f"{shard_path(store.path, index, 'ends')}: its inputs have more than "
                    f"{record.documents} documents: they changed, or documents were lost"
                )
            if chosen is None or number in chosen:
                ids = oracle(document)
                expected = [*token, *ids] if store.eot == "prepend" else [*ids, *token]
                _check_document(store, number, expected, against)
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
    manifest = store.manifest
    return Format(
        manifest.separator,
        manifest.field,
        manifest.on_error,
        manifest.input_format,
        manifest.zstd_window,
    )


def _documents(store: TokenStore, spans: list[Span]) -> Iterator[str]:
    """Yield the documents of a shard's spans, without those that it left out."""
    manifest = store.manifest
    form = _format_of(store)
    draw = None if manifest.part is None else ValidationDraw(manifest.part.validation)
    for document in corpus.documents(spans, form):
        try:
            text = document.decode("utf-8", "replace" if form.on_error == "replace" else "strict")
        except UnicodeDecodeError:
            if form.on_error == "raise":
                raise
            continue
        if draw is not None and manifest.part is not None:
            drawn = draw.is_validation(text.encode())
            if drawn != (manifest.part.name == "validation"):
                continue
        yield text


def _check_document(store: TokenStore, number: int, expected: list[int], against: str) -> None:
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
