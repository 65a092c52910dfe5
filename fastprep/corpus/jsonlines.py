"""Reader of .jsonl files, or byte ranges of them, and of JSON values that are not each on a line."""

from __future__ import annotations

import contextlib
import functools
import struct
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from fastprep.corpus.batches import as_batches
from fastprep.corpus.documents import Bad, Batch, Format, PlacesInRows, Span, keys_of
from fastprep.corpus.sources import Source, newlines_before
from fastprep.errors import DamagedInput, InvalidInput, InvalidUtf8
from fastprep.system.arguments import MAX_ID, not_an_id
from fastprep_ext.base import (
    Rows,
    count_newlines,
    find_last_newline,
    find_newline,
    uninitialized,
)
from fastprep_ext.corpus import LineReader, values_to_lines

# Bytes that are read at a time to find where the first line of a span starts.
_SEARCH_BYTES = 1 << 14
# A longer value is taken for one without an end: a bracket or a quote may be missing.
_MAX_VALUE = 1 << 28

# Function that names a line by its number.
LineName = Callable[[int], str]


class LineDecoder:
    """Decoder of lines of JSON objects to the text in one field of each.

    A compiled reader decodes the lines that are plainly valid, msgspec most others, and `json.loads`
    those with what only it accepts. A line that all refuse is refused, with msgspec's message. Raises
    InvalidInput for a field name that would have to be escaped in JSON.

    >>> rows, decoder = Rows(), LineDecoder(Format())
    >>> decoder.decode(b'{"text": "One."}\\n\\n{"id": 2, "text": "Two."}\\n', rows)
    (3, [])
    >>> [*rows], rows.origin(1)
    ([b'One.', b'Two.'], 2)
    """

    def __init__(self, form: Format) -> None:
        #: True if the documents are lists of token ids, None if there was none yet.
        self.ids: bool | None = None
        self._on_error = form.on_error
        self._field = form.field
        self._keys = keys_of(form.field)
        self._messages = form.messages
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            _line_type(form.field, msgspec.Raw if form.messages else str)
        )
        self._reader = LineReader([key.encode() for key in self._keys])
        what, option = "a string, or a list of token ids,", "--field"
        if form.messages:
            what, option = "a list of messages", "--messages"
        dotted = f", or {form.field.replace('.', chr(92) + '.')} for a key with dots"
        self._advice = (
            f"each line must be one JSON object with {what} under "
            f'"{form.field}"; fix it, name '
            f"another field ({option}){dotted if len(self._keys) > 1 else ''}, or pass "
            "on_error='skip' (--on-error skip) to skip such lines"
        )

    def decode(
        self,
        lines: bytes | memoryview,
        rows: Rows,
        stop: int | None = None,
        line: int = 0,
        name: LineName = "line {}".format,
        start: int = 0,
        origin: int = 0,
    ) -> tuple[int, list[Bad]]:
        """Append the texts of the whole lines from ``start`` to ``stop``; skip blank lines.

        The origin of a text is ``origin`` plus the number of its line; ``line`` is the first one's.
        Returns the number of the next line, and the lines that are not documents. Raises
        InvalidInput for a line that is not one JSON object with a str in the field, if ``on_error`` is
        ``"raise"``; ``name`` names lines in errors.

        >>> LineDecoder(Format()).decode(b'{"text": 5}', Rows())
        Traceback (most recent call last):
        fastprep.errors.InvalidInput: line 0: Expected `str`, got `int` - at `$.text`; ...
        >>> LineDecoder(Format(on_error="skip")).decode(b'{"text": 5}', Rows())[1]
        [Bad(place='line 0', reason='Expected `str`, got `int` - at `$.text`')]
        """
        size = len(lines) if stop is None else stop
        bad: list[Bad] = []
        at, line = start, line + origin
        while True:
            if not self.ids and not self._messages:  # the compiled reader takes texts only
                at, line = self._reader.read(lines, at, size, rows, line)
                if len(rows):
                    self.ids = False
            if at == size:
                return line - origin, bad
            end = find_newline(lines, at, size)
            end = size if end < 0 else end
            text = self._decode_slowly(bytes(lines[at:end]), line - origin, name, bad)
            if text is not None:
                rows.append(text, line)
            at, line = min(end + 1, size), line + 1

    def _decode_slowly(
        self, content: bytes, line: int, name: LineName, bad: list[Bad]
    ) -> bytes | None:
        """Decode one line, and repair it if necessary; return None if it is not a document."""
        if not content or content.isspace():
            return None
        try:
            return self._document(content)
        except InvalidInput as error:
            if self._on_error == "raise" and isinstance(error, InvalidUtf8):
                raise InvalidUtf8(f"{name(line)}, {error}", offset=error.offset) from None
            if self._on_error == "raise":
                raise InvalidInput(f"{name(line)}: {error}; {self._advice}") from None
            bad.append(Bad(name(line), str(error).partition("; ")[0]))
            if self._on_error == "skip":
                return None
            if isinstance(error, InvalidUtf8):
                with contextlib.suppress(InvalidInput):
                    return self.text(content.decode(errors="replace").encode()).encode()
            return b""

    def _document(self, content: bytes) -> bytes:
        """Return the text of a line, or its ids where the field has a list of them."""
        if self._messages:
            return self._json(content)
        ids = None
        try:
            text = self.text(content)
        except InvalidInput as error:
            if "Expected `str`, got `array`" not in str(error):
                raise
            if (ids := self._ids(content)) is None:
                raise InvalidInput(f"`{self._field}` is a list, but not of integers") from None
        if self.ids is None:
            self.ids = ids is not None
        elif self.ids is not (ids is not None):
            raise InvalidInput(
                f"`{self._field}` is {'text' if ids is None else 'a list of ids'}, unlike before it"
            )
        return text.encode() if ids is None else ids

    def _json(self, line: bytes) -> bytes:
        """Return the JSON in the field of a line, which may be any value. Raises like :meth:`text`."""
        value, fault = self._value(line)
        if fault is None:
            return bytes(value)
        import json

        value = self._value_by_json(line, fault)
        if value is None:
            raise InvalidInput(f"`{'.'.join(self._keys)}` is missing")
        return json.dumps(value).encode()

    def _ids(self, content: bytes) -> bytes | None:
        """Return the ids of a line as uint32, or None if its field has no list of integers."""
        try:
            found = _ids_decoder(self._field).decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        for _ in self._keys:
            found = found.text
        return ids_as_bytes(found)

    def text(self, line: bytes) -> str:
        """Return one line's text, without the compiled reader; tests compare it with this one.

        Raises InvalidInput with the fault of the line, but without its place.

        >>> LineDecoder(Format(field="a.b")).text(b'{"a": {"b": "One."}}')
        'One.'
        """
        text, fault = self._value(line)
        return str(text) if fault is None else self._text_by_json(line, fault)

    def _value(self, line: bytes) -> tuple[Any, str | None]:
        """Return what is in the field, or the fault of JSON that msgspec refuses."""
        try:
            found = self._decoder.decode(line)
        except UnicodeDecodeError:
            raise _invalid_utf8(line) from None
        except msgspec.ValidationError as error:
            raise InvalidInput(str(error)) from None
        except RecursionError:
            raise InvalidInput("nested too deeply") from None
        except msgspec.DecodeError as error:
            return None, str(error)
        return functools.reduce(lambda value, _: value.text, self._keys, found), None

    def _text_by_json(self, line: bytes, fault: str) -> str:
        """Return the text of a line with NaN, Infinity or a lone surrogate, which msgspec refuses.

        A lone surrogate in the text becomes U+FFFD. Raises InvalidInput, with the fault that msgspec
        found, for a line that `json.loads` refuses, too.
        """
        value = self._value_by_json(line, fault)
        if not isinstance(value, str):
            wrong = "is missing" if value is None else f"is a {type(value).__name__}, not a string"
            raise InvalidInput(f"`{'.'.join(self._keys)}` {wrong}")
        if _first_invalid(line) is not None and any("\udc80" <= c <= "\udcff" for c in value):
            raise _invalid_utf8(line)
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _value_by_json(self, line: bytes, fault: str) -> Any:
        """Return what `json.loads` finds in the field, None if it is missing."""
        import json

        try:
            # Bytes that are not UTF-8 do not matter outside of the text.
            value = json.loads(line.decode("utf-8", "surrogateescape"))
        except (ValueError, RecursionError):
            raise InvalidInput(fault) from None
        for key in self._keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value


def as_json(value: Any) -> tuple[bytes, str | None]:
    """Return an object as JSON, and why it has none, if so.

    >>> as_json([{"role": "user"}]), as_json({5})[1]
    ((b'[{"role": "user"}]', None), 'Object of type set is not JSON serializable')
    """
    import json

    try:
        return json.dumps(value).encode(), None
    except (TypeError, ValueError, RecursionError) as error:
        return b"", str(error)


def ids_as_bytes(ids: list[int]) -> bytes:
    """Return token ids as the text of a document of ids: little-endian uint32.

    >>> ids_as_bytes([1, 256])
    b'\\x01\\x00\\x00\\x00\\x00\\x01\\x00\\x00'

    Raises InvalidInput for a number that is no id.
    """
    try:
        return struct.pack(f"<{len(ids)}I", *ids)
    except struct.error:
        wrong = next(number for number in ids if not 0 <= number <= MAX_ID)
        raise InvalidInput(not_an_id(wrong)) from None


@functools.lru_cache(16)
def _ids_decoder(field: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_line_type(field, list[int]))


@functools.lru_cache(16)  # to define it takes a millisecond, of a task's 60 or so
def _line_type(field: str, kind: Any = str) -> Any:
    """Return the type of an object with a string in a field. Raises InvalidInput, see LineDecoder."""
    # An object without containers cannot be part of a cycle, so the collector can skip it.
    try:
        for key in reversed(keys_of(field)):
            kind = msgspec.defstruct("Line", [("text", kind)], rename={"text": key}, gc=False)
    except ValueError as error:
        raise InvalidInput(f"field {field!r} cannot be read: {error}") from None
    return kind


def _first_invalid(line: bytes) -> int | None:
    """Return the offset of the first byte that is not UTF-8, or None."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


def _invalid_utf8(line: bytes) -> InvalidUtf8:
    offset = _first_invalid(line) or 0
    return InvalidUtf8(
        f"byte {offset} of the line: 0x{line[offset]:02x} is not UTF-8 there; convert the "
        "file to UTF-8, or pass on_error='skip' or 'replace' (--on-error)",
        offset=offset,
    )


class LineNames:
    """Names of lines by their numbers, counted from the start of a span.

    The lines before the span are counted when the first name is needed.
    """

    def __init__(self, path: str, base: int) -> None:
        self._path = path
        self._base = base
        self._before: int | None = None

    def __call__(self, line: int) -> str:
        """Name a line."""
        if self._before is None:
            self._before = newlines_before(self._path, self._base)
        return f"{self._path}, line {self._before + line + 1}"


def read_lines(
    file: Source, span: Span, first: int, form: Format, block_bytes: int, cut: bool
) -> Iterator[Batch]:
    """Yield the texts of a .jsonl file's lines whose first byte is in a span.

    ``first`` is where the first line starts, after a byte order mark. See
    :func:`fastprep.corpus.reader.batches` for the rest, and an example.
    """
    base = _first_line(file, span, first, block_bytes)
    if base is None or base >= span.end:
        return
    decoder = LineDecoder(form)
    name = LineNames(span.path, base)
    places = PlacesInRows(name)
    file.seek(base)
    # The block starts at byte `base` of the file, with what was read of an incomplete line.
    block, line, last = Rows(), 0, False
    while not last:
        last = not _read_more(file, block, block_bytes)
        with block.held() as content:
            # The rest of a line that is cut off by damage is not a document.
            stop = block.filled
            if not last or file.damage is not None:
                stop = find_last_newline(content, 0, stop) + 1
            # The last line that starts before the span's end is the one that contains byte end - 1.
            newline = find_newline(content, span.end - 1 - base, block.filled)
            if newline >= 0:
                stop, last = newline + 1, True
            if not (stop or last):  # no line ends here
                continue
            rows = Rows()
            line, bad = decoder.decode(content, rows, stop, line, name)
        block.discard(stop)
        base += stop
        found = as_batches(rows, places, bad, block_bytes, cut, bool(decoder.ids))
        del rows  # before a long line is read after this one
        yield from found


def read_values(
    file: Source, path: str, first: int, form: Format, block_bytes: int, cut: bool
) -> Iterator[Batch]:
    """Yield the texts of JSON values: the elements of an array, or objects over several lines.

    ``first`` is where they start. Values are read a block at a time, so memory is that of the longest
    one and a few blocks. Raises DamagedInput, with its line, for what is not a value, and for values
    that do not end; if ``on_error`` is not ``"raise"``, that and the rest of the file are skipped.
    """
    decoder = LineDecoder(form)

    def name(number: int) -> str:
        return f"{path}, object {number + 1}"

    places = PlacesInRows(name)
    file.seek(first)
    block, number, newlines, state = Rows(), 0, 0, 0
    fault: str | None = None
    while fault is None:
        last = not _read_more(file, block, block_bytes)
        lines = uninitialized(2 * block.filled + 1)
        with block.held() as content:
            at, size, state, invalid = values_to_lines(
                content, 0, block.filled, state, last and file.damage is None, lines
            )
            newlines += count_newlines(content, 0, at)
            if invalid:
                fault = f"0x{content[at]:02x} cannot be there (a comma, bracket or quote may be missing)"
        block.discard(at)
        rows = Rows()
        number, bad = decoder.decode(lines, rows, size, number, name)
        found = as_batches(rows, places, bad, block_bytes, cut, bool(decoder.ids))
        del rows, lines  # before a long value is read after this one
        yield from found
        if fault is not None:
            break
        if last:
            if file.damage is not None or not (block.filled or state):
                return
            fault = f"the file ends in the middle of {'a value' if block.filled else 'an array'}"
        elif not at and block.filled >= _MAX_VALUE:
            fault = f"a value of more than {_MAX_VALUE} bytes: a bracket or a quote may be missing"
    error = DamagedInput(
        f"{path}, line {newlines + 1}: {fault}; fix it, or pass on_error='skip' (--on-error skip) to "
        "use the objects before it"
    )
    if form.on_error == "raise":
        raise error
    yield Batch.of_bad(Bad.of(error, path))


def _read_more(file: Source, block: Rows, block_bytes: int) -> bool:
    """Read on until a block is full; return whether the source may have more.

    Of a block without an end of a line or value as much again is read, so that the work is linear.
    """
    wanted = max(block_bytes - block.filled, block.filled)
    return file.read_into(block, wanted) == wanted


def _first_line(file: Source, span: Span, first: int, block_bytes: int) -> int | None:
    """Find where the first line of a span starts."""
    if span.start <= first:
        return first
    position = span.start - 1
    file.seek(position)
    while position < span.end:
        chunk = file.read(min(block_bytes, _SEARCH_BYTES))
        found = chunk.find(b"\n")
        if found >= 0:
            return position + found + 1
        if not chunk:
            break
        position += len(chunk)
    return None
