"""A .jsonl file, or a byte range of one, to the texts in one field of its lines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from fastprep import cutting
from fastprep.errors import InvalidInput, InvalidUtf8
from fastprep.spans import BLOCK_BYTES, Batch, Place, Span

# What names a line, from where it begins in the bytes at hand: "corpus.jsonl, line 7".
LinePlace = Callable[[int], str]

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class LineDecoder:
    """Decodes lines of JSON objects to the text in one field of each.

    Raises
    ------
    InvalidInput
        for a field name that would have to be escaped in JSON.

    Examples
    --------
    >>> LineDecoder("text").decode(b'{"text": "One."}\\n\\n{"id": 2, "text": "Two."}\\n')
    ['One.', 'Two.']
    """

    def __init__(self, field: str) -> None:
        self.field = field
        try:
            # gc=False: a Line holds one str, so it cannot be part of a cycle.
            line = msgspec.defstruct("Line", [("text", str)], rename={"text": field}, gc=False)
        except ValueError as error:
            raise InvalidInput(f"field {field!r} cannot be read: {error}") from None
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(line)

    def decode(self, lines: bytes, place: LinePlace = "byte {}".format) -> list[str]:
        """The texts of some whole lines; blank lines are passed over.

        Raises
        ------
        InvalidInput
            for a line that is not one JSON object with a str in the field; ``place`` names it.

        Examples
        --------
        >>> LineDecoder("text").decode(b'{"text": 5}')
        Traceback (most recent call last):
        fastprep.errors.InvalidInput: byte 0: Expected `str`, got `int` - at `$.text`; ...
        """
        # msgspec reads many values at once at 1.2 to 1.8 times the speed of one line a call
        # (900 against 530 MB/s on prose), but lets values share lines, or span several.
        try:
            values = self._decoder.decode_lines(lines)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._one_by_one(lines, place)
        if _is_one_a_line(lines, len(values)):
            return [value.text for value in values]
        return self._one_by_one(lines, place)

    def _one_by_one(self, lines: bytes, place: LinePlace) -> list[str]:
        texts = []
        position = 0
        for line in lines.split(b"\n"):
            if line and not line.isspace():
                texts.append(self._decode_one(line, position, place))
            position += len(line) + 1
        return texts

    def _decode_one(self, line: bytes, position: int, place: LinePlace) -> str:
        mend = f'each line must be one JSON object with a string under "{self.field}"'
        try:
            text: str = self._decoder.decode(line).text
            return text
        except UnicodeDecodeError:
            offset = _first_invalid(line)
            raise InvalidUtf8(
                f"{place(position)}, byte {offset} of the line: 0x{line[offset]:02x} is not UTF-8 "
                "there; convert the file to UTF-8",
                offset=offset,
            ) from None
        except msgspec.ValidationError as error:
            raise InvalidInput(f"{place(position)}: {error}; {mend}") from None
        except RecursionError:
            raise InvalidInput(f"{place(position)}: nested too deeply; {mend}") from None
        except msgspec.DecodeError as error:
            repaired = self._repair(line)
            if repaired is None:
                raise InvalidInput(f"{place(position)}: {error}; {mend}") from None
            return repaired

    def _repair(self, line: bytes) -> str | None:
        """The text of a line that holds lone surrogates, which msgspec refuses; None for others."""
        if not _SURROGATE.search(line):
            return None
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return None
        text = value.get(self.field) if isinstance(value, dict) else None
        if not isinstance(text, str):
            return None
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _is_one_a_line(lines: bytes, count: int) -> bool:
    """Whether ``count`` objects, known to be all that is there, stand one a line, no line blank.

    A string holds no raw newline, and ``}``, newline, ``{`` is nothing inside an object. So when
    all newlines but the last are such, each ends an object, and equal counts leave no line with
    two. (Counting the three bytes as one needle is five times slower.)
    """
    content = np.frombuffer(lines, np.uint8)
    newlines = np.flatnonzero(content == ord("\n"))
    return (
        len(newlines) == count
        and lines.endswith(b"}\n")
        and bool((content[newlines - 1] == ord("}")).all())
        and bool((content[newlines[:-1] + 1] == ord("{")).all())
    )


def _first_invalid(line: bytes) -> int:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return error.start
    return 0


def read_lines(
    file: BinaryIO, span: Span, first: int, field: str, block_bytes: int, cut: bool
) -> Iterator[Batch]:
    """The texts of a .jsonl file's lines whose first byte lies in a span.

    ``first`` is where the first line begins, behind a byte order mark. The rest is as in
    :func:`fastprep.corpus.batches`, which has the example, too.
    """
    base = _first_line(file, span, first, block_bytes)
    if base is None or base >= span.end:
        return
    decoder = LineDecoder(field)
    file.seek(base)
    data = b""
    last = False
    while not last:
        chunk = file.read(max(block_bytes, len(data)))
        data += chunk
        last = not chunk
        stop = len(data) if last else data.rfind(b"\n") + 1
        # The last line that begins before the span's end is the one with byte end - 1 in it.
        newline = data.find(b"\n", span.end - 1 - base)
        if newline >= 0:
            stop, last = newline + 1, True
        lines = data[:stop]
        texts = decoder.decode(lines, partial(_place_of_line, span.path, base))
        place = partial(_place_in_lines, span.path, base, lines)
        if cut and stop > block_bytes and max(map(len, texts), default=0) > block_bytes:
            yield from _long_lines(texts, place, block_bytes)
        elif texts:
            yield Batch([*texts], True, stop, place)
        data, base = data[stop:], base + stop


def _long_lines(texts: list[str], place: Place, block_bytes: int) -> Iterator[Batch]:
    """One batch a part, for the rare lines that are longer than a block."""
    for index, text in enumerate(texts):
        *parts, end = cutting.cut(text.encode(), block_bytes)
        here = partial(_place_in_line, place, index)
        for part in parts:
            yield Batch([part], False, len(part), here)
        yield Batch([end], True, len(end), here)


def _place_in_line(place: Place, line: int, _index: int, offset: int) -> tuple[str, int]:
    return place(line, offset)


def _place_in_lines(path: str, base: int, lines: bytes, index: int, offset: int) -> tuple[str, int]:
    position = 0
    for line in lines.split(b"\n"):
        if line and not line.isspace():
            if index == 0:
                break
            index -= 1
        position += len(line) + 1
    return f"{_place_of_line(path, base, position)}, byte {offset} of its text", 0


def _place_of_line(path: str, base: int, position: int) -> str:
    """The name of a line, by counting those before it: nobody counts until a line is bad."""
    number, left = 1, base + position
    with Path(path).open("rb") as file:
        while left > 0 and (chunk := file.read(min(left, BLOCK_BYTES))):
            number += chunk.count(b"\n")
            left -= len(chunk)
    return f"{path}, line {number}"


def _first_line(file: BinaryIO, span: Span, first: int, block_bytes: int) -> int | None:
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
