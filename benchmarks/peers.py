"""Other tokenizers with one interface: a list of documents to ids, by the fastest call of each.

The results are of each library's own type: lists of ints, arrays, or objects with ids. So every side
names its type, and libraries with two types have two sides.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _run import tiktokens

import fastprep

VOCABULARIES = Path(__file__).resolve().parents[1] / "fastprep" / "vocabulary" / "vocabularies"

Encode = Callable[[list[str]], Any]  # documents to what the library returns
Flat = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]  # ids of each document, all ids


class NotHere(Exception):
    """An encoding that the library does not have."""


@dataclass(frozen=True)
class Side:
    """One way to encode a list of documents."""

    package: str  # as the registry names it
    returns: str
    load: Callable[[str, int, Path], Encode]  # encoding, threads, its tokenizer.json
    flat: Callable[[Any], Flat]


def version_of(package: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def digest(flat: Flat) -> str:
    """Return a digest that is equal for two sides only if all ids and lengths are equal."""
    lengths, ids = flat
    content = hashlib.sha256(np.ascontiguousarray(lengths, np.int64).tobytes())
    content.update(np.ascontiguousarray(ids, np.uint32).tobytes())
    return content.hexdigest()


# -- types of results ------------------------------------------------------------------------------


def flat_lists(lists: Sequence[Sequence[int]]) -> Flat:
    """Flatten lists of ids, one per document."""
    lengths = np.fromiter(map(len, lists), np.int64, len(lists))
    ids = (number for one in lists for number in one)
    return lengths, np.fromiter(ids, np.uint32, int(lengths.sum()))


def flat_objects(objects: Iterable[Any]) -> Flat:
    """Flatten objects with `ids`."""
    return flat_lists([one.ids for one in objects])


def flat_parts(parts: list[tuple[Any, Any]]) -> Flat:
    """Flatten arrays of ids, each with the ends of its documents."""
    lengths = [np.diff(ends.astype(np.int64), prepend=0) for _, ends in parts]
    return np.concatenate(lengths), np.concatenate([ids for ids, _ in parts])


def flat_awkward(array: Any) -> Flat:
    """Flatten an array of awkward."""
    layout = array.layout
    return np.diff(np.asarray(layout.offsets)), np.asarray(layout.content.data)


def flat_offsets(result: tuple[Any, Any]) -> Flat:
    """Flatten an array of all ids with the start of each document."""
    return np.diff(result[1]), result[0]


# -- the libraries ---------------------------------------------------------------------------------


def fastprep_arrays(encoding: str, threads: int, _: Path) -> Encode:
    """Use encode_documents into new arrays: all documents at once, or 1 MB at a time per thread."""
    ours = fastprep.get_encoding(encoding)

    def encode(documents: list[str]) -> tuple[Any, Any]:
        # At most four bytes per character and one id per byte; unused pages are never mapped.
        ids = np.empty((4 * sum(map(len, documents)) + len(documents)), np.uint32)
        ends = np.empty(len(documents), np.uint64)
        return ids[: ours.encode_documents(documents, ids, ends)], ends

    if threads == 1:
        return lambda documents: [encode(documents)]
    pool = ThreadPoolExecutor(threads)
    return lambda documents: list(pool.map(encode, parts_of(documents)))


def parts_of(documents: list[str]) -> Iterator[list[str]]:
    """Yield lists of documents of a million characters or a little more."""
    part: list[str] = []
    size = 0
    for document in documents:
        part.append(document)
        size += len(document)
        if size >= 1_000_000:
            yield part
            part, size = [], 0
    if part:
        yield part


def fastprep_lists(encoding: str, threads: int, _: Path) -> Encode:
    """Use encode_ordinary_batch."""
    ours = fastprep.get_encoding(encoding)
    return lambda documents: ours.encode_ordinary_batch(documents, num_threads=threads)


def gigatoken_of(encoding: str) -> Any:
    """Return gigatoken's encoding from the published file."""
    import gigatoken

    return gigatoken.Tokenizer.from_tiktoken(VOCABULARIES / f"{encoding}.tiktoken")


def gigatoken_arrays(encoding: str, threads: int, _: Path) -> Encode:
    """Use encode_batch, to an awkward array."""
    theirs = gigatoken_of(encoding)
    return lambda documents: theirs.encode_batch(documents, parallel=threads > 1)


def gigatoken_lists(encoding: str, threads: int, _: Path) -> Encode:
    """Use encode_batch_list."""
    theirs = gigatoken_of(encoding)
    return lambda documents: theirs.encode_batch_list(documents, parallel=threads > 1)


def tiktoken_lists(encoding: str, threads: int, _: Path) -> Encode:
    """Use encode_ordinary_batch."""
    theirs = tiktokens(fastprep.get_encoding(encoding))
    return lambda documents: theirs.encode_ordinary_batch(documents, num_threads=threads)


def quicktok_arrays(encoding: str, threads: int, _: Path) -> Encode:
    """Use encode_batch, to one array and offsets."""
    import quicktok

    try:
        theirs = quicktok.get_encoding(encoding)
    except RuntimeError:
        raise NotHere(f"has no {encoding}") from None
    return lambda documents: theirs.encode_batch(documents, threads)


def tokie_objects(encoding: str, threads: int, file: Path) -> Encode:
    """Use encode_batch; rayon decides the number of threads."""
    import tokie

    theirs = tokie.Tokenizer.from_json(str(file))
    return lambda documents: theirs.encode_batch(documents, add_special_tokens=False)


def tokenizers_objects(encoding: str, threads: int, file: Path) -> Encode:
    """Use encode_batch_fast; rayon decides the number of threads."""
    import tokenizers

    theirs = tokenizers.Tokenizer.from_file(str(file))
    return lambda documents: theirs.encode_batch_fast(documents, add_special_tokens=False)


#: The sides by the name that tables show.
SIDES: dict[str, Side] = {
    "fastprep, arrays": Side("fastprep", "arrays and ends", fastprep_arrays, flat_parts),
    "fastprep, lists": Side("fastprep", "lists", fastprep_lists, flat_lists),
    "gigatoken, arrays": Side("gigatoken", "an awkward array", gigatoken_arrays, flat_awkward),
    "gigatoken, lists": Side("gigatoken", "lists", gigatoken_lists, flat_lists),
    "quicktok, arrays": Side("quicktok-v1", "an array and offsets", quicktok_arrays, flat_offsets),
    "tokie": Side("tokie", "objects that hold lists", tokie_objects, flat_objects),
    "tiktoken": Side("tiktoken", "lists", tiktoken_lists, flat_lists),
    "tokenizers": Side("tokenizers", "objects that hold ids", tokenizers_objects, flat_objects),
}
PACKAGES = list(dict.fromkeys(side.package for side in SIDES.values()))
