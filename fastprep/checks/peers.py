"""Other tokenizers that are installed: their ids and their speed, beside those of an encoding.

Each is called by its fastest way to encode a list of documents that returns all ids.
"""

from __future__ import annotations

import contextlib
import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from fastprep.encoding.encoding import Encoding
from fastprep.errors import FastprepError
from fastprep.vocabulary.published import PUBLISHED

#: From documents to what a library returns.
Encode: TypeAlias = Callable[[list[str]], Any]
_VOCABULARIES = Path(__file__).parents[1] / "vocabulary" / "vocabularies"
# One thread for all: what they do with several is another question.
_ONE_THREAD = {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


class NotHere(FastprepError):
    """An encoding that a library cannot have."""


class Subject(NamedTuple):
    """An encoding to compare, and a directory for its file."""

    encoding: Encoding
    directory: Path

    @property
    def tokenizer_json(self) -> str:
        """The path of its ``tokenizer.json``, which is written at the first use."""
        path = self.directory / "tokenizer.json"
        if not path.exists():
            self.encoding.save(path)
        return str(path)

    @property
    def tiktoken_file(self) -> Path:
        """The path of the published file. Raises NotHere if there is none."""
        if self.encoding.name not in PUBLISHED:
            raise NotHere("reads published encodings only")
        return _VOCABULARIES / f"{PUBLISHED[self.encoding.name].table}.tiktoken"


class Peer(NamedTuple):
    """One way to encode documents.

    `package` is its name in the registry, `load` makes the function to time, and `lists` makes lists of
    ids, one per document, of what that function returns.
    """

    package: str
    load: Callable[[Subject], Encode]
    lists: Callable[[Any], Sequence[Sequence[int]]] = list


class Difference(NamedTuple):
    """The documents with other ids; the first of them, and the position of the first other id in it."""

    documents: int
    document: int
    position: int


class Measured(NamedTuple):
    """The result of one tokenizer: speeds in MB per second of CPU, or why there are none.

    `version` is empty for fastprep itself. `first` is the speed on new text, `again` the median of
    the rounds on the same text.
    """

    name: str
    version: str
    difference: Difference | None = None
    fault: str | None = None
    first: float | None = None
    again: float | None = None


def installed() -> dict[str, str]:
    """Return the versions of the other packages that can be compared, by package.

    >>> installed()["tiktoken"][:2]
    '0.'
    """
    found = {}
    for package in sorted({peer.package for peer in PEERS.values()} - {"fastprep"}):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def missing() -> list[str]:
    """Return the packages that could be compared and are not installed."""
    return sorted({peer.package for peer in PEERS.values()} - {"fastprep"} - installed().keys())


def measure(
    encoding: Encoding,
    documents: list[str],
    rounds: int = 3,
    log: Callable[[str], object] | None = None,
) -> Iterator[Measured]:
    """Compare the ids of all tokenizers that are installed with fastprep's, and yield their speeds.

    They run on one thread and take turns, in the other direction every second round. One with other
    ids is not timed. Time is the CPU time of this process, which other programs hardly change. `log`
    is called with what is done next.

    >>> from fastprep import get_encoding
    >>> next(measure(get_encoding("gpt2"), ["some text"], 1)).name
    'fastprep, arrays'
    """
    versions = {"fastprep": "", **installed()}
    os.environ.update(_ONE_THREAD)
    size = sum(len(text.encode()) for text in documents) / 1e6
    found: dict[str, Measured] = {}
    sides: dict[str, Encode] = {}
    expected: Sequence[Sequence[int]] | None = None
    with tempfile.TemporaryDirectory() as directory:
        subject = Subject(encoding, Path(directory))
        for name, peer in PEERS.items():
            if peer.package not in versions:
                continue
            result = Measured(name, versions[peer.package])
            if log is not None:
                log(f"ids of {name}")
            try:
                encode = peer.load(subject)
                encode(["a"])
                seconds, ids = _timed(encode, documents)
                lists = peer.lists(ids)
                expected = lists if expected is None else expected
                difference = compare(expected, lists)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # a panic of Rust is no Exception
                message = " ".join(str(error).split())[:200]
                found[name] = result._replace(fault=message or type(error).__name__)
                continue
            del ids, lists
            if difference is None:
                sides[name] = encode
            found[name] = result._replace(difference=difference, first=size / seconds)
        times = _in_turns(sides, documents, rounds, log)
    for name, result in found.items():
        again = size / median(times[name]) if name in times else None
        yield result._replace(again=again, first=result.first if again else None)


def compare(expected: Sequence[Sequence[int]], found: Sequence[Sequence[int]]) -> Difference | None:
    """Return how lists of ids differ, or None if they are equal.

    >>> compare([[1, 2], [3, 4], [5]], [[1, 2], [3, 9], [5, 6]])
    Difference(documents=2, document=1, position=1)
    """
    places = [
        (number, _first_difference(ours, theirs))
        for number, (ours, theirs) in enumerate(zip(expected, found, strict=True))
        if list(ours) != list(theirs)
    ]
    return Difference(len(places), *places[0]) if places else None


def _first_difference(ours: Sequence[int], theirs: Sequence[int]) -> int:
    same = (one == other for one, other in zip(ours, theirs, strict=False))
    return next(
        (index for index, equal in enumerate(same) if not equal), min(len(ours), len(theirs))
    )


def _timed(encode: Encode, documents: list[str]) -> tuple[float, Any]:
    gc.collect()
    start = time.process_time()
    result = encode(documents)
    return max(time.process_time() - start, 1e-6), result


def _in_turns(
    sides: Mapping[str, Encode],
    documents: list[str],
    rounds: int,
    log: Callable[[str], object] | None,
) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds):
        for name in list(sides)[:: -1 if turn % 2 else 1]:
            if log is not None:
                log(f"round {turn + 1} of {rounds}, {name}")
            seconds[name].append(_timed(sides[name], documents)[0])
    return seconds


# -- the libraries ---------------------------------------------------------------------------------


def _fastprep(subject: Subject) -> Encoding:
    # Of its own, because the text is not new to an encoding that others have used.
    return Encoding._from_recipe(subject.encoding.recipe)


def _fastprep_arrays(subject: Subject) -> Encode:
    encode = _fastprep(subject).encode_documents

    def arrays(documents: list[str]) -> tuple[Any, Any]:
        # At most four bytes per character and one id per byte; unused pages are never mapped.
        ids = np.empty(4 * sum(map(len, documents)) + len(documents), np.uint32)
        ends = np.empty(len(documents), np.uint64)
        return ids[: encode(documents, ids, ends)], ends

    return arrays


def _fastprep_lists(subject: Subject) -> Encode:
    ours = _fastprep(subject)
    return lambda documents: ours.encode_ordinary_batch(documents, num_threads=1)


def _tiktoken(subject: Subject) -> Encode:
    recipe = subject.encoding.recipe
    if recipe.merge_list is not None:
        raise NotHere("its tokens are merged by rank, and this encoding's by a list of merges")
    theirs = import_module("tiktoken").Encoding(
        subject.encoding.name,
        pat_str=subject.encoding.pat_str,
        mergeable_ranks=recipe.mergeable_ranks(),
        special_tokens=subject.encoding.special_tokens,
    )
    return lambda documents: theirs.encode_ordinary_batch(documents, num_threads=1)


def _tokenizers(subject: Subject) -> Encode:
    theirs = import_module("tokenizers").Tokenizer.from_file(subject.tokenizer_json)
    theirs.encode_special_tokens = True
    return lambda documents: theirs.encode_batch_fast(documents, add_special_tokens=False)


def _gigatoken(subject: Subject) -> Any:
    return import_module("gigatoken").Tokenizer.from_tiktoken(subject.tiktoken_file)


def _gigatoken_arrays(subject: Subject) -> Encode:
    theirs = _gigatoken(subject)
    return lambda documents: theirs.encode_batch(documents, parallel=False)


def _gigatoken_lists(subject: Subject) -> Encode:
    theirs = _gigatoken(subject)
    return lambda documents: theirs.encode_batch_list(documents, parallel=False)


def _fastokens(subject: Subject) -> Encode:
    encoding, tokenizer = subject.encoding, import_module("fastokens").Tokenizer
    if encoding.name in PUBLISHED:
        file, special = str(subject.tiktoken_file), encoding.special_tokens
        theirs = tokenizer.from_tiktoken(file, encoding.pat_str, special)
    else:
        theirs = tokenizer.from_file(subject.tokenizer_json)
    return lambda documents: theirs.encode_batch_flat(documents)


def _tokie(subject: Subject) -> Encode:
    theirs = import_module("tokie").Tokenizer.from_json(subject.tokenizer_json)
    return lambda documents: theirs.encode_batch(documents, add_special_tokens=False)


def _quicktok(subject: Subject) -> Encode:
    theirs = import_module("quicktok").get_encoding(subject.encoding.name)
    return lambda documents: theirs.encode_batch(documents, 1)


# -- what they return ------------------------------------------------------------------------------


def _of_objects(objects: Sequence[Any]) -> list[Sequence[int]]:
    return [one.ids for one in objects]


def _of_ends(result: tuple[Any, Any]) -> list[list[int]]:
    return [part.tolist() for part in np.split(result[0], np.asarray(result[1], np.int64)[:-1])]


def _of_starts(result: tuple[Any, Any]) -> list[list[int]]:
    return _of_ends((result[0], result[1][1:]))


def _of_buffers(result: tuple[bytes, bytes]) -> list[list[int]]:
    return _of_starts((np.frombuffer(result[0], "<u4"), np.frombuffer(result[1], "<u8")))


def _of_awkward(array: Any) -> list[list[int]]:
    lists: list[list[int]] = array.to_list()
    return lists


#: The tokenizers by the name that tables show; the first is the one that others are compared with.
PEERS: dict[str, Peer] = {
    "fastprep, arrays": Peer("fastprep", _fastprep_arrays, _of_ends),
    "fastprep, lists": Peer("fastprep", _fastprep_lists),
    "tiktoken": Peer("tiktoken", _tiktoken),
    "tokenizers": Peer("tokenizers", _tokenizers, _of_objects),
    "gigatoken, arrays": Peer("gigatoken", _gigatoken_arrays, _of_awkward),
    "gigatoken, lists": Peer("gigatoken", _gigatoken_lists),
    "fastokens, arrays": Peer("fastokens", _fastokens, _of_buffers),
    "tokie": Peer("tokie", _tokie, _of_objects),
    "quicktok, arrays": Peer("quicktok-v1", _quicktok, _of_starts),
}
