"""Calls whose allocations fail, and forms that Cython compiles to code that then crashes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from checks.interrupts import programs
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
    shim = build_shim(tmp_path)
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
    ("modules", "excused"),
    [
        (
            [
                "/t/failing_malloc.so",
                "/lib/libc.so.6",
                "/p/numpy/_core/x.so",
                "/p/fastprep_ext/bpe.so",
            ],
            True,
        ),
        (
            ["/lib/x86_64-linux-gnu/libc.so.6", "/p/fastprep_ext/bpe.so", "/p/numpy/_core/x.so"],
            False,
        ),
        (["/usr/lib/libpython3.11.so.1.0", "/p/fastprep_ext/bpe.so"], False),
        (["/lib/libc.so.6", "/usr/bin/python3.12"], True),
    ],
)
def test_only_a_crash_in_a_module_of_others_is_excused(modules: list[str], excused: bool) -> None:
    frames = "".join(f"{module}(+0x1f)[0x7f0011]\n" for module in modules)
    found = f"ended: -11: Fatal Python error\n\n  File x, line 1 in f\nNative frames:\n{frames}"
    assert _is_of_others(found) is excused
    assert not _is_of_others(f"ended: -11: Fatal Python error\n{frames}")
