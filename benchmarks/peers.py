"""Other tokenizers behind one face: a list of documents to ids, by the fastest call that each has.

What comes back is each library's own: lists of ints, arrays, or objects that hold ids. So every side
says what it returns, and libraries that return two kinds have two sides.
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
    """The library has no such encoding."""


@dataclass(frozen=True)
class Side:
    """One way to encode a list of documents."""

    package: str  # as the registry names it
    returns: str
    load: Callable[[str, int, Path], Encode]  # encoding, threads, its tokenizer.json
    flat: Callable[[Any], Flat]


def version_of(package: str) -> str | None:
    """The version of a package that is installed, else None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def digest(flat: Flat) -> str:
    """What is the same for two sides only if all ids and all lengths are."""
    lengths, ids = flat
    content = hashlib.sha256(np.ascontiguousarray(lengths, np.int64).tobytes())
    content.update(np.ascontiguousarray(ids, np.uint32).tobytes())
    return content.hexdigest()


# -- what they return ------------------------------------------------------------------------------


def flat_lists(lists: Sequence[Sequence[int]]) -> Flat:
    """Of a list of ids for each document."""
    lengths = np.fromiter(map(len, lists), np.int64, len(lists))
    ids = (number for one in lists for number in one)
    return lengths, np.fromiter(ids, np.uint32, int(lengths.sum()))


def flat_objects(objects: Iterable[Any]) -> Flat:
    """Of objects with `ids`."""
    return flat_lists([one.ids for one in objects])


def flat_parts(parts: list[tuple[Any, Any]]) -> Flat:
    """Of arrays of ids, each with where its documents end."""
    lengths = [np.diff(ends.astype(np.int64), prepend=0) for _, ends in parts]
    return np.concatenate(lengths), np.concatenate([ids for ids, _ in parts])


def flat_awkward(array: Any) -> Flat:
    """Of an array of awkward."""
    layout = array.layout
    return np.diff(np.asarray(layout.offsets)), np.asarray(layout.content.data)


def flat_offsets(result: tuple[Any, Any]) -> Flat:
    """Of all ids, and where each document begins."""
    return np.diff(result[1]), result[0]


# -- the libraries ---------------------------------------------------------------------------------


def fastprep_arrays(encoding: str, threads: int, _: Path) -> Encode:
    """encode_documents into new arrays: all documents at once, or 1 MB of them at a time a thread."""
    ours = fastprep.get_encoding(encoding)

    def encode(documents: list[str]) -> tuple[Any, Any]:
        # A character has at most four bytes, and a byte at most one id; room not used is not touched.
        ids = np.empty((4 * sum(map(len, documents)) + len(documents)), np.uint32)
        ends = np.empty(len(documents), np.uint64)
        return ids[: ours.encode_documents(documents, ids, ends)], ends

    if threads == 1:
        return lambda documents: [encode(documents)]
    pool = ThreadPoolExecutor(threads)
    return lambda documents: list(pool.map(encode, parts_of(documents)))


def parts_of(documents: list[str]) -> Iterator[list[str]]:
    """Documents in lists of a million characters or a little more."""
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
    """encode_ordinary_batch."""
    ours = fastprep.get_encoding(encoding)
    return lambda documents: ours.encode_ordinary_batch(documents, num_threads=threads)


def gigatoken_of(encoding: str) -> Any:
    """gigatoken reads the published file."""
    import gigatoken

    return gigatoken.Tokenizer.from_tiktoken(VOCABULARIES / f"{encoding}.tiktoken")


def gigatoken_arrays(encoding: str, threads: int, _: Path) -> Encode:
    """encode_batch, to an awkward array."""
    theirs = gigatoken_of(encoding)
    return lambda documents: theirs.encode_batch(documents, parallel=threads > 1)


def gigatoken_lists(encoding: str, threads: int, _: Path) -> Encode:
    """encode_batch_list."""
    theirs = gigatoken_of(encoding)
    return lambda documents: theirs.encode_batch_list(documents, parallel=threads > 1)


def tiktoken_lists(encoding: str, threads: int, _: Path) -> Encode:
    """encode_ordinary_batch."""
    theirs = tiktokens(fastprep.get_encoding(encoding))
    return lambda documents: theirs.encode_ordinary_batch(documents, num_threads=threads)


def quicktok_arrays(encoding: str, threads: int, _: Path) -> Encode:
    """encode_batch, to one array and offsets."""
    import quicktok

    try:
        theirs = quicktok.get_encoding(encoding)
    except RuntimeError:
        raise NotHere(f"has no {encoding}") from None
    return lambda documents: theirs.encode_batch(documents, threads)


def tokie_objects(encoding: str, threads: int, file: Path) -> Encode:
    """encode_batch; how many threads it takes is for rayon to say."""
    import tokie

    theirs = tokie.Tokenizer.from_json(str(file))
    return lambda documents: theirs.encode_batch(documents, add_special_tokens=False)


def tokenizers_objects(encoding: str, threads: int, file: Path) -> Encode:
    """encode_batch_fast; how many threads it takes is for rayon to say."""
    import tokenizers

    theirs = tokenizers.Tokenizer.from_file(str(file))
    return lambda documents: theirs.encode_batch_fast(documents, add_special_tokens=False)


#: By the name that tables show.
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
