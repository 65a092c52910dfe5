"""Comparison of a store's ids with those of another library for the same documents."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from fastprep.checks.oracles import Oracle
from fastprep.corpus import reader as corpus
from fastprep.corpus.documents import Format, Span
from fastprep.corpus.remote import is_url
from fastprep.errors import InvalidInput, InvalidStore
from fastprep.store.manifest import ShardRecord, shard_path
from fastprep.store.reader import TokenStore
from fastprep.store.validation import ValidationDraw


def compare(store: TokenStore, against: str, oracle: Oracle, sample: int | None) -> int:
    """Encode the recorded documents again with an oracle, and count the documents compared.

    The inputs of the store must still exist. `against` is the name of the oracle in errors; `sample`
    is the number of documents to compare, drawn with a fixed seed, or None for all.

    Raises InvalidStore for the first document that differs, and if there are more or fewer of them;
    InvalidInput if an input is missing, has changed its size, or does not contain text. For an example
    see :func:`fastprep.verify`.
    """
    chosen: set[int] | None = None
    if sample is not None and sample < store.num_documents:
        chosen = set(random.Random(0).sample(range(store.num_documents), sample))
    token = [] if store.eot_token is None else [store.eot_token]
    number = compared = 0
    for index, record in enumerate(store.manifest.shards):
        for span in record.inputs:
            _check_input(span, _format_of(store))
        stop = number + record.documents
        for document in _documents(store, record):
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


def _check_input(span: Span, form: Format) -> None:
    """Raise InvalidInput for a recorded input that cannot be read again."""
    if span.path.startswith("<"):
        raise InvalidInput(
            f"{span.path}: it was in the memory of the process that made the store, so there is "
            "nothing to compare with; verify without against (--against)"
        )
    if form.kind(span.path) is None:
        raise InvalidInput(
            f"{span.path}: the store was imported from these ids and does not record the text that "
            "they were made from, so there is nothing to compare with; verify without against "
            "(--against)"
        )
    if not (is_url(span.path) or Path(span.path).exists()):
        hint = (
            "" if Path(span.path).is_absolute() else ", or run in the directory it was named from"
        )
        raise InvalidInput(
            f"{span.path}: no such file, although the store was made from it; restore it{hint}"
        )
    if corpus.whole(span.path, form).size != span.size:
        raise InvalidInput(
            f"{span.path}: its size is no longer {span.size}, as it was when the store was "
            "made; restore that file to compare with it"
        )


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


def _documents(store: TokenStore, record: ShardRecord) -> Iterator[str]:
    """Yield the documents that a shard was made from, without those that it left out."""
    manifest = store.manifest
    form = _format_of(store)
    draw = None if manifest.part is None else ValidationDraw(manifest.part.validation)
    for document in corpus.documents(record.inputs, form):
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
    raise InvalidStore(
        f"{store.path}: document {number} differs from {against}'s at its token {place}: "
        f"{found[place : place + 5]} in the store, {expected[place : place + 5]} from {against}"
    )
