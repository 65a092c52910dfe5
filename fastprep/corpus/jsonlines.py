"""A .jsonl file, or a byte range of one, to the texts in one field of its lines."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from fastprep.corpus.batches import deliver
from fastprep.corpus.documents import Bad, Batch, Format, Span, keys_of
from fastprep.corpus.sources import Source, newlines_before
from fastprep.errors import InvalidInput, InvalidUtf8
from fastprep_ext.base import Rows, count_newlines, uninitialized
from fastprep_ext.corpus import LineReader

if TYPE_CHECKING:
    from typing import TypeAlias

    Places: TypeAlias = memoryview[int]

# What names a line, from where it begins in the bytes at hand: "corpus.jsonl, line 7".
LinePlace = Callable[[int], str]

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class Decoded(NamedTuple):
    """Texts, text ``i`` from ``starts[i]`` to ``stops[i]`` in one buffer of UTF-8.

    ``places`` says where the line of each begins; ``bad`` are the lines that are no document;
    ``newlines`` is how many newlines were read.
    """

    text: bytearray
    starts: Places
    stops: Places
    places: Places
    bad: list[Bad]
    newlines: int

    @property
    def texts(self) -> Rows:
        """The texts, as a sequence."""
        return Rows(self.text, self.starts, self.stops)


class LineDecoder:
    """Decodes lines of JSON objects to the text in one field of each.

    A compiled reader takes the lines that are plainly good, msgspec the others: what msgspec
    refuses is refused, and its words say why.

    Raises
    ------
    InvalidInput
        for a field name that would have to be escaped in JSON.

    Examples
    --------
    >>> decoder = LineDecoder(Format())
    >>> list(decoder.decode(b'{"text": "One."}\\n\\n{"id": 2, "text": "Two."}\\n').texts)
    [b'One.', b'Two.']
    """

    def __init__(self, form: Format) -> None:
        self._on_error = form.on_error
        self._keys = keys_of(form.field)
        kind: Any = str
        # What holds no container cannot be part of a cycle, so the collector need not look at it.
        try:
            for key in reversed(self._keys):
                kind = msgspec.defstruct("Line", [("text", kind)], rename={"text": key}, gc=False)
        except ValueError as error:
            raise InvalidInput(f"field {form.field!r} cannot be read: {error}") from None
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind)
        self._reader = LineReader([key.encode() for key in self._keys])
        self._mend = (
            f'each line must be one JSON object with a string under "{form.field}"; mend it, name '
            "another field (--field), or pass on_error='skip' (--on-error skip) to leave such lines out"
        )

    def decode(
        self, lines: bytes, stop: int | None = None, place: LinePlace = "byte {}".format
    ) -> Decoded:
        """The texts of the whole lines before byte ``stop``; blank lines are passed over.

        Raises
        ------
        InvalidInput
            for a line that is not one JSON object with a str in the field, unless the format says
            to go on; ``place`` names it.

        Examples
        --------
        >>> LineDecoder(Format()).decode(b'{"text": 5}')
        Traceback (most recent call last):
        fastprep.errors.InvalidInput: byte 0: Expected `str`, got `int` - at `$.text`; ...
        >>> LineDecoder(Format(on_error="skip")).decode(b'{"text": 5}').bad
        [Bad(place='byte 0', reason='Expected `str`, got `int` - at `$.text`')]
        """
        size = len(lines) if stop is None else stop
        view = memoryview(lines)[:size]
        ended = count_newlines(lines, 0, size)
        starts, stops, places = (_int64s(ended + 1) for _ in range(3))
        out = uninitialized(size)
        bad: list[Bad] = []
        at = written = count = 0
        while size:
            at, written, count = self._reader.read(
                view, at, out, written, starts, stops, places, count
            )
            if at == size:
                break
            end = lines.find(b"\n", at, size)
            end = size if end < 0 else end
            text = self._patiently(lines[at:end], partial(place, at), bad)
            if text is not None:
                # Text that was replaced may be longer than the line.
                short = written + len(text) + size - end - len(out)
                if short > 0:
                    out = out + bytes(max(short, len(out)))
                out[written : written + len(text)] = text
                starts[count], places[count] = written, at
                written += len(text)
                stops[count] = written
                count += 1
            at = min(end + 1, size)
        return Decoded(out, starts[:count], stops[:count], places[:count], bad, ended)

    def _patiently(self, line: bytes, place: Callable[[], str], bad: list[Bad]) -> bytes | None:
        """One line's text, after any attempt to mend it; None where it is no document."""
        if not line or line.isspace():
            return None
        try:
            return self.text(line).encode()
        except InvalidInput as error:
            if self._on_error == "raise" and isinstance(error, InvalidUtf8):
                raise InvalidUtf8(f"{place()}, {error}", offset=error.offset) from None
            if self._on_error == "raise":
                raise InvalidInput(f"{place()}: {error}; {self._mend}") from None
            bad.append(Bad(place(), str(error).partition("; ")[0]))
            if self._on_error == "skip":
                return None
            if isinstance(error, InvalidUtf8):
                with contextlib.suppress(InvalidInput):
                    return self.text(line.decode(errors="replace").encode()).encode()
            return b""

    def text(self, line: bytes) -> str:
        """One line's text by the slow way alone, beside which the fast one stands in tests.

        Raises
        ------
        InvalidInput
            saying what is wrong with the line, but not where it is.

        Examples
        --------
        >>> LineDecoder(Format(field="a.b")).text(b'{"a": {"b": "One."}}')
        'One.'
        """
        try:
            return self._value(self._decoder.decode(line))
        except UnicodeDecodeError:
            offset = _first_invalid(line)
            raise InvalidUtf8(
                f"byte {offset} of the line: 0x{line[offset]:02x} is not UTF-8 there; convert the "
                "file to UTF-8, or pass on_error='skip' or 'replace' (--on-error)",
                offset=offset,
            ) from None
        except msgspec.ValidationError as error:
            raise InvalidInput(str(error)) from None
        except RecursionError:
            raise InvalidInput("nested too deeply") from None
        except msgspec.DecodeError as error:
            repaired = self._repair(line)
            if repaired is None:
                raise InvalidInput(str(error)) from None
            return repaired

    def _value(self, line: Any) -> str:
        text: str = functools.reduce(lambda found, _: found.text, self._keys, line)
        return text

    def _repair(self, line: bytes) -> str | None:
        """The text of a line that holds lone surrogates, which msgspec refuses; None for others."""
        if not _SURROGATE.search(line):
            return None
        import json

        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return None
        for key in self._keys:
            value = value.get(key) if isinstance(value, dict) else None
        if not isinstance(value, str):
            return None
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _int64s(count: int) -> Places:
    return memoryview(uninitialized(8 * count)).cast("q")


def _first_invalid(line: bytes) -> int:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return error.start
    return 0


class _Lines:
    """The number of a line: those before a span are counted when a line is first asked for."""

    def __init__(self, path: str, base: int) -> None:
        self._path = path
        self._base = base
        self._before: int | None = None

    def place(self, passed: int, block: bytes, position: int) -> str:
        """What names the line at ``position`` of a block that ``passed`` newlines stand before."""
        if self._before is None:
            self._before = newlines_before(self._path, self._base)
        number = self._before + passed + block.count(b"\n", 0, position) + 1
        return f"{self._path}, line {number}"


def read_lines(
    file: Source, span: Span, first: int, form: Format, block_bytes: int, cut: bool
) -> Iterator[Batch]:
    """The texts of a .jsonl file's lines whose first byte lies in a span.

    ``first`` is where the first line begins, behind a byte order mark. The rest is as in
    :func:`fastprep.corpus.reader.batches`, which has the example, too.
    """
    base = _first_line(file, span, first, block_bytes)
    if base is None or base >= span.end:
        return
    decoder = LineDecoder(form)
    lines = _Lines(span.path, base)
    file.seek(base)
    passed = 0
    size = block_bytes
    last = False
    while not last:
        data = file.read(size)
        last = len(data) < size
        # What is left of a line that damage cuts off is no document.
        stop = len(data) if last and file.damage is None else data.rfind(b"\n") + 1
        # The last line that begins before the span's end is the one with byte end - 1 in it.
        newline = data.find(b"\n", span.end - 1 - base)
        if newline >= 0:
            stop, last = newline + 1, True
        if not (stop or last):
            # No line ends here. Reading twice as much keeps the copying linear.
            file.push_back(data)
            size *= 2
            continue
        if not last:
            # To read a part of a line twice is cheaper than to copy the block.
            file.push_back(data[stop:])
            size = block_bytes
        found = decoder.decode(data, stop, partial(lines.place, passed, data))
        place = partial(_place_of_row, lines, passed, data, found.places)
        yield from deliver(
            found.text, found.starts, found.stops, place, found.bad, block_bytes, cut
        )
        passed += found.newlines
        base += stop


def _place_of_row(
    lines: _Lines,
    passed: int,
    block: bytes,
    places: Places,
    index: int,
    offset: int,
) -> tuple[str, int]:
    return f"{lines.place(passed, block, places[index])}, byte {offset} of its text", 0


def _first_line(file: Source, span: Span, first: int, block_bytes: int) -> int | None:
    if span.start <= first:
        return first
    position = span.start - 1
    file.seek(position)
    while position < span.end:
        chunk = file.read(block_bytes)
        found = chunk.find(b"\n")
        if found >= 0:
            return position + found + 1
        if not chunk:
            break
        position += len(chunk)
    return None
