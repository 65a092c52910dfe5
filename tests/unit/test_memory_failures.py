"""Calls whose allocations fail, and forms that Cython compiles to code that then crashes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from checks.interrupts import ROOT, programs
from checks.memory_failures import _is_of_others, _limited, build_shim, failures_of

import fastprep_ext

pytest.importorskip("_testcapi", reason="CPython's own test module makes allocations fail")
SOURCES = sorted(Path(fastprep_ext.__file__).parent.rglob("*.pyx"))


@pytest.mark.parametrize(
    "call",
    [
        "encode",
        "encode_batch, threads",
        "decode_with_offsets",
        "Decoder",
    ],
)
@pytest.mark.parametrize("kind", ["python", "c"])
def test_a_call_whose_allocations_fail_raises_and_leaves_nothing_wrong(
    tmp_path: Path, call: str, kind: str
) -> None:
    shim = build_shim(tmp_path) if kind == "c" else None
    if kind == "c" and shim is None:
        pytest.skip("no compiler")
    found = failures_of(call, kind, tmp_path, shim, 12)
    assert found.cases >= 12
    assert not found.differing, found.figures


def test_a_command_without_memory_says_so(tmp_path: Path) -> None:
    import random

    (program,) = (one for one in programs(tmp_path, 1) if one.name == "encode")
    found = _limited(program, tmp_path, random.Random(1), 4)
    assert not found.differing, found.figures


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_form_that_crashes_without_memory_is_compiled(path: Path) -> None:
    code = re.sub(r'"""(?s:.*?)"""|#.*', "", path.read_text(encoding="utf-8"))
    comprehension = re.search(r"[\[({][^\[\](){}\n]*\bfor\b[^\n]*\bin\b", code)
    assert comprehension is None, "setup.py says why"
    assert re.search(r"^\s*except\b", code, re.MULTILINE) is None, "setup.py says why"


@pytest.mark.parametrize(
    ("path", "text", "excused"),
    [
        ("fastprep/corpus/jsonlines.py", "self._decoder.decode(", True),
        ("fastprep/corpus/saved.py", "msgspec.json.decode(", True),
        ("fastprep/corpus/jsonlines.py", "decoder.decode(lines", False),
        ("tests/checks/allocations.py", "bpe.split_pieces(", False),  # compiled code has no frame
    ],
)
def test_only_a_crash_in_a_call_of_others_is_excused(path: str, text: str, excused: bool) -> None:
    lines = (ROOT / path).read_text().splitlines()
    number = next(number for number, line in enumerate(lines, 1) if text in line)
    waits = (
        'Thread 0x01 (most recent call first):\n  File "/usr/lib/threading.py", line 1 in wait\n'
    )
    crash = (
        f'Current thread 0x02 (most recent call first):\n  File "{ROOT / path}", line {number} in f'
    )
    assert _is_of_others(f"ended: -11: Fatal Python error\n\n{waits}\n{crash}") is excused
