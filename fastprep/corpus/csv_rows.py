"""Reader of .csv and .tsv files: the texts in one column of the rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from fastprep.corpus.batches import as_batches
from fastprep.corpus.documents import Bad, Batch, Format, PlacesInRows, keys_of
from fastprep.corpus.sources import Source
from fastprep.errors import DamagedInput, InvalidInput
from fastprep_ext.base import Rows

_BUFFER_BYTES = 1 << 18
# A longer row is taken for one whose last quote is missing.
_MAX_ROW = 1 << 28


def read_csv(
    file: Source, path: str, first: int, form: Format, delimiter: str, block_bytes: int, cut: bool
) -> Iterator[Batch]:
    """Yield the texts of the rows after the header, which is the first row, in the order of the file.

    ``first`` is where the header starts. Fields may be quoted, and then have delimiters, newlines and
    doubled quotes; the rules are those of Python's module ``csv``, in its strict mode. Blank lines are
    skipped. Raises InvalidInput if the column is missing, or a row has another number of fields than
    the header.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_ROW))
    file.seek(first)
    lines = _Lines(file, path)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        index, width = _column(reader, path, form)
    except InvalidInput as error:
        if form.on_error == "raise":
            raise
        if file.damage is None:  # otherwise that is reported
            yield Batch.of_bad(Bad.of(error, path))
        return

    def name(line: int) -> str:
        return f"{path}, line {line}"

    places = PlacesInRows(name)
    rows, bad = Rows(), list[Bad]()
    while True:
        lines.start_row()
        try:
            row = next(reader)
            if not row:
                continue
            fault = None if len(row) == width else f"{len(row)} fields, but the header has {width}"
        except StopIteration:
            break
        except csv.Error as error:
            if file.damage is not None:  # it is reported instead
                break
            fault = str(error)
        except DamagedInput as error:
            if form.on_error == "raise":
                raise
            bad.append(Bad.of(error, path))
            break
        if fault is None:
            rows.append(row[index].encode("latin-1"), lines.row)
        elif form.on_error == "raise":
            raise InvalidInput(
                f"{name(lines.row)}: {fault}; fix the row, or pass on_error='skip' (--on-error skip) "
                "to skip such rows"
            )
        else:
            bad.append(Bad(name(lines.row), fault))
            if form.on_error == "replace":
                rows.append(b"", lines.row)
        if rows.filled >= block_bytes or len(bad) >= _MAX_BAD:
            yield from as_batches(rows, places, bad, block_bytes, cut)
            rows, bad = Rows(), []
    yield from as_batches(rows, places, bad, block_bytes, cut)


# Bad rows that are collected before they are yielded.
_MAX_BAD = 1000


def _column(reader: Iterator[list[str]], path: str, form: Format) -> tuple[int, int]:
    """Read the header; return the index of the column of text, and the number of columns."""
    wanted = ".".join(keys_of(form.field))
    try:
        header = next((row for row in reader if row), [])
    except csv.Error as error:
        raise InvalidInput(f"{path}, line 1: {error}; fix the header") from None
    names = [name.encode("latin-1").decode(errors="replace") for name in header]
    if (count := names.count(wanted)) == 1:
        return names.index(wanted), len(names)
    found = f"has {count} columns" if count else "has no column"
    fix = "rename one of them" if count else "pass one of them as field (--field)"
    raise InvalidInput(
        f"{path}: {found} {wanted!r}; its header is {', '.join(map(repr, names[:20]))}"
        f"{' ...' if len(names) > 20 else ''}; {fix}; columns are separated by commas in .csv, by tabs "
        "in .tsv"
    )


class _Lines:
    """Iterator over the lines of a source, with the number of the line where the row starts."""

    def __init__(self, file: Source, path: str) -> None:
        raw = io.BufferedReader(_Raw(file), _BUFFER_BYTES)
        # Latin-1 maps bytes to characters one to one, and newlines are not translated.
        self._lines = io.TextIOWrapper(raw, encoding="latin-1", newline="\n")
        self._file = file
        self._path = path
        self._line = self._size = 0
        self.row = 1

    def start_row(self) -> None:
        """Take the next line as the start of a row."""
        self.row = self._line + 1
        self._size = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        # The rest of a line that is cut off by damage is not a row.
        if self._file.damage is not None and not line.endswith("\n"):
            raise StopIteration
        self._line += 1
        self._size += len(line)
        if self._size > _MAX_ROW:
            raise DamagedInput(
                f"{self._path}, line {self.row}: a row of more than {_MAX_ROW} bytes: a quote may be "
                "missing; fix it, or pass on_error='skip' (--on-error skip) to use the rows before it"
            )
        return line


class _Raw(io.RawIOBase):
    """A source as a file of Python."""

    def __init__(self, file: Source) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._file.readinto(memoryview(buffer).cast("B"))
