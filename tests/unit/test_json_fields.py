"""Fields of JSON lines that are skipped by vectors, and runs of escapes: as `json.loads` has them."""

from __future__ import annotations

import itertools
import json

import pytest

from fastprep_ext.base import Rows
from fastprep_ext.corpus import LineReader


def _text(line: bytes) -> bytes | None:
    """Return the text of a line by the compiled reader; None if it leaves the line to another one."""
    rows = Rows()
    at, _ = LineReader([b"text"]).read(line, 0, len(line), rows, 0)
    return rows[0] if at == len(line) and len(rows) else None


def _is_json(value: bytes) -> bool:
    try:
        json.loads(value)
    except ValueError:
        return False
    return True


def _wrapped(value: bytes) -> list[bytes]:
    after = b'"' + b"y" * 80 + b'"'
    return [
        b'{"text": "t", "n": %s}\n' % value,
        b'{"n": %s, "text": "t", "z": %s}\n' % (value, after),
        b'{"n": [%s, %s], "text": "t", "z": %s}\n' % (value, value, after),
    ]


def test_every_short_number_is_skipped_or_refused_as_json_says() -> None:
    for size in range(1, 5):
        for value in map(bytes, itertools.product(b"-+019.eE", repeat=size)):
            expected = b"t" if _is_json(value) else None
            for line in _wrapped(value):
                assert _text(line) == expected, line


@pytest.mark.parametrize("digits", [1, 14, 15, 16, 17, 31, 32, 33, 62, 63, 64, 65, 200])
def test_long_numbers_are_skipped_or_refused_as_json_says(digits: int) -> None:
    run = b"1234567890" * 20
    for sign, after in itertools.product(
        (b"", b"-", b"+", b"0", b"-0"),
        (
            b"",
            b".",
            b".5",
            b".e5",
            b"e5",
            b"E-5",
            b".5e+5",
            b".5.5",
            b"x",
            b"-",
            b".12345678901234",
        ),
    ):
        value = sign + run[:digits] + after
        expected = b"t" if _is_json(value) else None
        for line in _wrapped(value):
            assert _text(line) == expected, line


def test_short_and_long_strings_are_skipped() -> None:
    for size in (0, 1, 14, 15, 16, 17, 62, 63, 64, 65, 130):
        for inner in (b"", b"\\n", b'\\"', b"\\u00e9", b"\\x", b"\x01", b"\\ud800"):
            value = b'"' + b"x" * size + inner + b'"'
            expected = b"t" if _is_json(value) and inner != b"\\ud800" else None
            for line in _wrapped(value):
                assert _text(line) == expected, line


POINTS = (0, 0x20, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF)


def test_runs_of_escapes_are_the_characters_that_they_stand_for() -> None:
    for points in itertools.product(POINTS, repeat=3):
        text = "".join(map(chr, points))
        for inner in (
            text,
            f"{text} {text}  x{text}",
            f"{text}\n{text}é",
            " " + text + "\\" + text,
        ):
            for more in (b"\n", b" " * 20 + b"\n"):
                assert _text(json.dumps({"text": inner}).encode() + more) == inner.encode()


@pytest.mark.parametrize(
    "broken", ["\\u12", "\\u12g4", "\\ud83d", "\\ude00", "\\ud83d\\u0041", "\\x"]
)
def test_a_run_with_a_broken_escape_is_left_to_the_other_reader(broken: str) -> None:
    for before in ("", "\\u0416", "\\u0416 \\u0416", "\\u6f22\\u6f22"):
        for after in ("", "x" * 20, "\\u0416" * 4):
            assert _text(f'{{"text": "{before}{broken}{after}"}}\n'.encode()) is None
