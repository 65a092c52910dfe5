"""Streams of documents that are read once: standard input, and dicts of an iterator."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from operator import index
from typing import Any

from fastprep.corpus.batches import as_batches
from fastprep.corpus.documents import Bad, Batch, Format, PlacesInRows, Span, keys_of
from fastprep.corpus.in_memory import Documents, TableSpan, span_of
from fastprep.corpus.jsonlines import as_json, ids_as_bytes
from fastprep.errors import InvalidInput
from fastprep_ext.base import Rows

_STANDARD_INPUT = "<standard input>"


def standard_input(form: Format) -> TableSpan:
    """Return the span of standard input. Raises InvalidInput without a format that a stream can have.

    >>> standard_input(Format(format="jsonl"))
    TableSpan(path='<standard input>', start=0, end=0, size=0, in_memory=True)
    """
    kind = form.kind("-")
    if form.format is None or kind is None:
        raise InvalidInput(
            "-: standard input has no name that says its format; pass the format (--format), as in "
            "'jsonl' or 'txt.gz'; a file of that name is ./-"
        )
    if kind.content in ("parquet", "arrow") or kind.archive == ".zip":
        raise InvalidInput(
            f"-: {form.format} cannot be read from standard input; write it to a file, and pass that"
        )
    return span_of(_STANDARD_INPUT, 0, 0, 0, _StandardInput(form))


class _StandardInput:
    """The bytes of standard input, as those of a file."""

    size = 0

    def __init__(self, form: Format) -> None:
        self._form = form
        self._is_read = False

    def read(self, span: Span, block_bytes: int, cut: bool) -> Iterator[Batch]:
        """Yield the documents; see :class:`fastprep.corpus.in_memory.TableSource`."""
        from fastprep.corpus.reader import read_stream

        if self._is_read:
            raise InvalidInput("-: standard input can be read only once; write it to a file first")
        self._is_read = True
        yield from read_stream(sys.stdin.buffer, span.path, self._form, block_bytes, cut)


def stream_of_documents(documents: Documents, number: int, form: Format) -> TableSpan:
    """Return the span of documents in dicts, which are input ``number``.

    >>> stream_of_documents(Documents([{"text": "One."}]), 1, Format()).path
    '<stream 1>'
    """
    name = f"<stream {number}>"
    return span_of(name, 0, 0, 0, _Dicts(documents.dicts, name, form))


class _Dicts:
    """Documents in dicts, which are taken from an iterator as they are read."""

    size = 0

    def __init__(self, dicts: Iterable[Mapping[str, Any]], name: str, form: Format) -> None:
        self._dicts = dicts
        self._name = name
        self._form = form
        self._keys = keys_of(form.field)
        self._is_read = False

    def read(self, span: Span, block_bytes: int, cut: bool) -> Iterator[Batch]:
        """Yield the documents; see :class:`fastprep.corpus.in_memory.TableSource`."""
        if self._is_read:
            raise InvalidInput(f"{self._name}: it can be read only once; make it again")
        self._is_read = True
        places = PlacesInRows(self._place)
        rows, bad, ids = Rows(), list[Bad](), False
        for number, document in enumerate(self._dicts):
            fault = None
            are_ids = False
            found: Any = document
            for key in self._keys:
                found = found.get(key) if isinstance(found, Mapping) else None
            if self._form.messages and found is not None:
                text, fault = as_json(found)
            elif isinstance(found, str):
                try:
                    text = found.encode()
                except UnicodeEncodeError:  # a lone surrogate, as of a line of JSON
                    text = (
                        found.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
                    )
            elif isinstance(found, bytes):
                text = found
            elif isinstance(found, (list, tuple)) or type(found).__name__ == "ndarray":
                are_ids = True
                text, fault = _as_ids(found)
            else:
                text, fault = b"", self._fault(document, found)
            if len(rows) and ids is not are_ids:
                yield from as_batches(rows, places, bad, block_bytes, cut, ids)
                rows, bad = Rows(), []
            ids = are_ids
            if fault is None or self._form.on_error == "replace":
                rows.append(text, number)
            if fault is not None:
                if self._form.on_error == "raise":
                    raise InvalidInput(
                        f"{self._place(number)}: {fault}; each item must be a dict with a str under "
                        f"{self._form.field!r}; name another field, or pass on_error='skip'"
                    )
                bad.append(Bad(self._place(number), fault))
            if rows.filled >= block_bytes or len(bad) >= _MAX_BAD:
                yield from as_batches(rows, places, bad, block_bytes, cut, ids)
                rows, bad = Rows(), []
        yield from as_batches(rows, places, bad, block_bytes, cut, ids)

    def _fault(self, document: object, found: object) -> str:
        if not isinstance(document, Mapping):
            return f"it is a {type(document).__name__}, not a dict"
        if found is None:
            return f"it has no {self._form.field!r}; it has {', '.join(map(str, [*document][:20]))}"
        return f"its {self._form.field!r} is a {type(found).__name__}, not a str"

    def _place(self, number: int) -> str:
        return f"{self._name}, item {number}"


def _as_ids(found: Any) -> tuple[bytes, str | None]:
    """Return token ids as the text of a document of ids, and what is wrong with them, if anything."""
    try:
        return ids_as_bytes([index(number) for number in found]), None
    except TypeError:
        return b"", "it is a list, but not of token ids"
    except InvalidInput as error:
        return b"", str(error)


# Bad items that are collected before they are yielded.
_MAX_BAD = 1000
