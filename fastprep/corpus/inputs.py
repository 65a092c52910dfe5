"""Expansion of a user's inputs to files: paths, folders, patterns and URLs."""

from __future__ import annotations

import glob
import os
import stat
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, Protocol, TypeAlias

from fastprep.corpus.documents import Format, Span
from fastprep.corpus.formats import SUPPORTED, in_folders
from fastprep.corpus.in_memory import Documents, TableSpan, as_inputs, is_table
from fastprep.corpus.passed_over import HIDDEN, Tally, in_words, reason_of
from fastprep.corpus.remote import expand_url, from_file_url, is_pattern, is_url, normal_url
from fastprep.corpus.saved import files_of_data_sets
from fastprep.corpus.search import Search, key_of, parts_of
from fastprep.corpus.sources import is_text, text_hint, whole
from fastprep.errors import InvalidInput
from fastprep.system.arguments import local_path


class ArrowStream(Protocol):
    """A table or stream with Arrow's interface: of pyarrow, polars, pandas, DuckDB."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return a capsule with the stream."""


class Frame(Protocol):
    """A data frame, or a query that makes one."""

    @property
    def columns(self) -> object:
        """The names of the columns."""


class Scan(Protocol):
    """A data set or scanner of pyarrow."""

    def to_batches(self) -> object:
        """Return the record batches."""


Input: TypeAlias = str | PathLike[str] | ArrowStream | Frame | Scan
#: A path, a table or stream of :mod:`fastprep.corpus.tables`, an iterable of these, or of dicts.
Inputs: TypeAlias = Input | Iterable[Any]

_MAX_SHOWN = 60  # characters of an input in an error
_HOW_TO_PASS = {
    "dict": "; make a table of the dicts: pyarrow.Table.from_pylist(dicts)",
    "list": "; make a table of the texts: pyarrow.table({'text': texts})",
}


def find(inputs: Inputs, form: Format | None = None, passed: Tally | None = None) -> list[Span]:
    """Return the files of some inputs, each as a whole, in an order that depends on names alone.

    An input is one of

    - a file;
    - a folder: all readable files in it and its subfolders, except plain ``.json`` files, which are
      usually metadata, unless it has no others; of a data set that `save_to_disk` wrote, its files;
    - a pattern with ``*``, ``?`` and ``[...]``, and ``**`` for any depth of folders: all readable files
      that match, except the metadata of stores and of unfinished work on them;
    - a URL of one of these; that of a folder ends with ``/``;
    - a table or a stream of texts: see :mod:`fastprep.corpus.tables`;
    - ``"-"``, standard input, if ``form`` names its format.

    An iterator or list of dicts is one stream of documents.

    Inputs keep their order, and the files of a folder or pattern are sorted by name. Folders and
    patterns pass over names that begin with a dot or an underscore, follow a link to a folder once,
    and read each file once; ``passed`` counts what they passed over. Raises InvalidInput for a file
    that is missing or cannot be read, for a folder or pattern without files, and for a file that
    two inputs lead to.

    >>> for name in ("b.txt", "a.jsonl", ".hidden.txt", "README.md"):
    ...     _ = (tmp / name).write_text("")
    >>> passed = Tally()
    >>> [span.path.rpartition("/")[2] for span in find(tmp, passed=passed)]
    ['a.jsonl', 'b.txt']
    >>> [(record.reason, record.count) for record in passed.records()]
    [('not of a kind that is read', 1), ('the name begins with . or _', 1)]
    >>> [span.path.rpartition("/")[2] for span in find(tmp / "*.txt")]
    ['b.txt']
    """
    given = _as_list(inputs)
    if not given:
        raise InvalidInput("no inputs; pass at least one file, folder or pattern")
    form = form or Format()
    search = _Inputs(given, form, Tally() if passed is None else passed)
    for number in range(len(given)):
        search.add(number)
    return search.spans


def _as_list(inputs: Inputs) -> Sequence[Any]:
    """Return the inputs one by one. Raises InvalidInput for what is no input, as a column of texts."""
    if isinstance(inputs, (str, PathLike)) or is_table(inputs):
        return [inputs]
    kind = type(inputs).__name__
    if type(inputs).__module__.partition(".")[0] == "datasets":
        raise InvalidInput(
            f"the inputs are a {kind}, one column of a data set; pass the data set itself, and the "
            "column's name as field"
        )
    if isinstance(inputs, Mapping):
        raise InvalidInput(
            f"the inputs are a {kind}; pass paths, or make a table of it: pyarrow.table(inputs)"
        )
    if isinstance(inputs, (bytes, bytearray, memoryview)):
        raise InvalidInput(f"the inputs are {kind}; pass a str or a pathlib.Path")
    return as_inputs(inputs) if isinstance(inputs, Iterable) else [inputs]


class _Inputs:
    """The spans of inputs found so far, and what is known of them to notice one that comes twice."""

    def __init__(self, given: Sequence[Any], form: Format, passed: Tally) -> None:
        self.spans: list[Span] = []
        self._given = given
        self._form = form
        self._passed = passed
        # Device and inode of a file, the name of a URL, the id of a table.
        self._keys: set[int | str] = set()
        self._ends: list[int] = []

    def add(self, number: int) -> None:
        """Find the files of one input."""
        one = self._given[number]
        if isinstance(one, str) and one == "-":
            from fastprep.corpus.streams import standard_input

            spans: list[Span] = [standard_input(self._form)]
            keys: set[Any] = {spans[0].path}
        elif isinstance(one, Documents):
            from fastprep.corpus.streams import stream_of_documents

            spans, keys = [stream_of_documents(one, number + 1, self._form)], set()
        elif is_table(one):
            from fastprep.corpus.tables import whole_table

            spans, keys = [whole_table(one, number + 1, self._form)], {f"<{id(one)}>"}
        elif isinstance(one, (str, PathLike)):
            spans, keys = self._files(os.fspath(one))
        else:
            raise InvalidInput(
                f"input {number + 1} is a {type(one).__name__}; pass a path, an Arrow table or stream, "
                f"or a data set of Hugging Face{_HOW_TO_PASS.get(type(one).__name__, '')}"
            )
        if not self._keys.isdisjoint(keys):
            raise self._twice(number, spans)
        self._keys |= keys
        self.spans += spans
        self._ends.append(len(self.spans))

    def _files(self, given: str) -> tuple[list[Span], set[Any]]:
        """Return the files of one input, and a key of each."""
        if not isinstance(given, str):
            raise InvalidInput(f"an input is {given!r}; pass a str or a pathlib.Path")
        given = from_file_url(given)
        if is_url(given):
            spans = self._at_url(normal_url(given))
            return spans, {span.path for span in spans}
        name = local_path(given, "an input").as_posix()
        try:
            status = os.stat(name)  # noqa: PTH116
        except (OSError, ValueError):  # `whole` reports it
            status = None
        is_folder = status is not None and stat.S_ISDIR(status.st_mode)
        if not is_folder and (status is not None or not glob.has_magic(name) or is_text(name)):
            return [whole(name, self._form)], set() if status is None else {key_of(status)}
        wanted = self._in_folders if is_folder else self._is_known
        search, passed = self._search(name, wanted, is_folder=is_folder)
        if is_folder and not search.spans:
            search, passed = self._search(name, self._in_folders_of_json, is_folder=True)
        spans = files_of_data_sets(name, search.spans) if is_folder else search.spans
        self._check_found(given, spans, passed, is_folder)
        return spans, search.keys() if len(self._given) > 1 else set()

    def _search(
        self, name: str, wanted: Callable[[str], bool], *, is_folder: bool
    ) -> tuple[Search, Tally]:
        passed = Tally()
        search = Search(wanted, tolerant=self._form.on_error != "raise", passed=passed)
        search.run(*((name, ("**",)) if is_folder else parts_of(name)))
        return search, passed

    def _is_known(self, name: str) -> bool:
        return self._form.kind(name) is not None

    def _in_folders(self, name: str) -> bool:
        return in_folders(name, self._form.format)

    def _in_folders_of_json(self, name: str) -> bool:
        return in_folders(name, self._form.format, json=True)

    def _at_url(self, url: str) -> list[Span]:
        is_folder = url.endswith("/")
        if not is_folder and not is_pattern(url):
            return [whole(url, self._form)]
        listed = list(expand_url(url))
        wanted = self._is_known
        if is_folder:
            wanted = self._in_folders
            if not any(wanted(name) for name, _, is_hidden in listed if not is_hidden):
                wanted = self._in_folders_of_json
        passed = Tally()
        spans = []
        for name, size, is_hidden in listed:
            if is_hidden:
                passed.add(name, HIDDEN)
            elif not wanted(name):
                passed.add(name, reason_of(name))
            else:
                # The listing usually has the size, which saves a request per file.
                spans.append(whole(name, self._form) if size is None else Span(name, 0, size, size))
        self._check_found(url, spans, passed, is_folder)
        return sorted(spans, key=lambda span: span.path)

    def _check_found(
        self, given: str, spans: Sequence[Span], passed: Tally, is_folder: bool
    ) -> None:
        """Raise InvalidInput for a folder or pattern without files; add what it passed over."""
        if not spans:
            found = passed.records()
            what = "no file that can be read is there"
            if not is_url(given):
                what = "no file that can be read matches this pattern"
                if is_folder:
                    what = "no files in this folder can be read"
            raise InvalidInput(
                f"{given}: {what}; supported are {SUPPORTED}"
                f"{f'; {in_words(found)}' if found else ''}{'' if is_folder else text_hint(given)}"
            )
        self._passed.add_records(passed.records())

    def _twice(self, number: int, spans: Sequence[Span]) -> InvalidInput:
        """Return the error for an input with a file, or a table, that an earlier input has."""
        one = self._given[number]
        if is_table(one):
            first = next(place for place, other in enumerate(self._given) if other is one)
            return InvalidInput(
                f"inputs {first + 1} and {number + 1} are the same {type(one).__name__}; pass it once"
            )
        again = {_identity(span): span.path for span in spans}
        place = next(i for i, span in enumerate(self.spans) if _identity(span) in again)
        path, known = again[_identity(self.spans[place])], self.spans[place].path
        first = bisect_right(self._ends, place)
        return InvalidInput(
            f"{path}: input {number + 1}, {_shown(one)}, leads to this file again; input {first + 1}, "
            f"{_shown(self._given[first])}, has it already{'' if path == known else f' as {known}'}; "
            "name each file once"
        )


def _identity(span: Span) -> int | str:
    """Return the device and inode of a local file as one number; the path of anything else."""
    if isinstance(span, TableSpan) or is_url(span.path):
        return span.path
    return key_of(os.stat(span.path))  # noqa: PTH116


def _shown(one: object) -> str:
    text = str(one)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
