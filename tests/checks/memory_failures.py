"""Memory that ends: allocations that fail in every public call, and too small address spaces."""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from checks import Found
from checks.interrupts import COMMAND, Program, _contents, _remove, programs
from checks.interrupts import environment as environment_of_programs

HERE = Path(__file__).parent
MAX_SECONDS = 60.0  # between two lines of a program; then it counts as hanging
# SystemErrors of numpy, TypeErrors of pathlib and the like are theirs.
GOOD = re.compile(
    r"right|no memory|RuntimeError: can't allocate (read )?lock|\w+ by others: .*|"
    r"OutOfMemoryError: .*|TypeError: expected str, bytes or os.PathLike object, not PosixPath"
)
# Modules of a backtrace that are in any program.
OF_NEITHER = re.compile(
    r"failing_malloc\.so|/libc\.so|/libpthread|/ld-linux|/libpython[^/]*|/python3?[.\d]*$"
)
# A command without memory: one line, or two if there was none to print the first.
NO_MEMORY = re.compile(r"(fastprep: error: memory ran out(; the same command resumes)?\n){1,2}")
# What OpenBLAS, numpy's import and the interpreter say of failed allocations that they do not report.
OF_OTHERS = re.compile(
    r"OpenBLAS error: Memory allocation still failed|has no attribute 'datetime_CAPI'|"
    r"object type name: MemoryError"
)


def memory_failures(seed: int, cases: int) -> Iterator[Found]:
    """Run all of these checks; each call with at most `cases` allocations that fail."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shim = build_shim(folder)
        for call in call_names(folder):
            yield failures_of(call, "python", folder, shim, cases)
            if shim is not None:
                yield failures_of(call, "c", folder, shim, cases)
        yield from small_address_spaces(seed, cases)


def build_shim(folder: Path) -> Path | None:
    """Compile the library that is preloaded; None without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        return None
    target = folder / "failing_malloc.so"
    source = str(HERE / "failing_malloc.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", source, "-o", str(target)], check=True)
    return target


def call_names(folder: Path) -> list[str]:
    """Return the names of all calls."""
    program = "import sys; sys.path.insert(0, sys.argv[1]); import allocations; "
    program += "print(*allocations.CALLS, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", program, str(HERE)],
        env=_environment(folder, None),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def failures_of(call: str, kind: str, folder: Path, shim: Path | None, cases: int) -> Found:
    """Let the allocations of a call fail: each alone, and all from each one on."""
    made = aborted = 0
    wrong: list[str] = []
    for once in ("once", "on"):
        first = step = 0
        while True:
            found = ""
            lines = _lines(call, kind, once, first, step, cases // 2, folder, shim)
            for number, chosen, found in lines:
                made += 1
                first, step = number, chosen
                if _is_of_others(found):
                    aborted += 1
                elif GOOD.fullmatch(found) is None:
                    wrong.append(f"allocation {number}, {once}: {found[:600]}")
            if not found.startswith("ended"):
                break
            first += step  # after a crash
    return Found(
        f"allocations of {'Python' if kind == 'python' else 'C'} that fail: {call}",
        made,
        len(wrong),
        {"crashes_of_others": aborted, "wrong": wrong[:4]},
    )


def _is_of_others(found: str) -> bool:
    """Return whether a program crashed in the interpreter, or in a module that fastprep calls.

    That of the innermost native frame which is neither C's library nor the interpreter's; without one it
    is the interpreter's own.
    """
    if "Cannot recover from MemoryErrors" in found:
        return True
    _, crashed, frames = found.partition("Native frames:")
    if not found.startswith("ended: -11") or not crashed:
        return False
    modules = re.findall(r"(\S+)\([^)]*\) ?\[0x", frames)
    mine = [name for name in modules if OF_NEITHER.search(name) is None]
    return not mine or "fastprep_ext" not in mine[0]


def _lines(
    call: str,
    kind: str,
    once: str,
    first: int,
    step: int,
    cases: int,
    folder: Path,
    shim: Path | None,
) -> Iterator[tuple[int, int, str]]:
    """Yield what a program says of each allocation; "ended: ..." where it crashed or hung."""
    words = [sys.executable, "-X", "faulthandler", str(HERE / "allocations.py"), call, kind, once]
    with (folder / "stderr").open("w+") as err:
        process = subprocess.Popen(
            [*words, str(first), str(step), str(cases)],
            env=_environment(folder, shim),
            stdout=subprocess.PIPE,
            stderr=err,
        )
        assert process.stdout is not None
        timer = None
        number = None
        for line in process.stdout:
            if timer is not None:
                timer.cancel()
            timer = threading.Timer(MAX_SECONDS, process.kill)
            timer.start()
            if step == 0:
                step = int(line)
            elif number is None:
                number = int(line)
            else:
                yield number, step, line.decode("utf-8", "replace").strip()
                number = None
        if timer is not None:
            timer.cancel()
        code = process.wait()
        process.stdout.close()
        err.seek(0)
        said = err.read()[:10_000]
        if number is not None:
            yield number, step, f"ended: {code}: {said}"
        elif code:
            raise RuntimeError(f"{call}: {code}: {said}")


def _environment(folder: Path, shim: Path | None) -> dict[str, str]:
    preload = {} if shim is None else {"LD_PRELOAD": str(shim)}
    return {**environment_of_programs(), "FASTPREP_FOLDER": str(folder), **preload}


LIMITED = """
import os, resource, sys
sizes = open("/proc/self/statm").read().split()
limit = int(sizes[0]) * os.sysconf("SC_PAGESIZE") + int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
"""


def small_address_spaces(seed: int, cases: int) -> Iterator[Found]:
    """Run each command with an address space that is larger than the interpreter's by a random size."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as other:
        directory, shim = Path(name), build_shim(Path(other))
        for program in programs(directory, seed):
            if not program.is_call:
                yield _limited(program, directory, rng, cases, shim)


def _limited(
    program: Program, directory: Path, rng: random.Random, cases: int, shim: Path | None = None
) -> Found:
    preload = {} if shim is None else {"LD_PRELOAD": str(shim)}
    run = [sys.executable, "-c", LIMITED + COMMAND]
    words = program.words[len(run) :]

    def limited(size: int) -> tuple[int | None, str]:
        try:
            done = subprocess.run(
                [*run, str(size), *words],
                cwd=directory,
                env={**environment_of_programs(), **preload},
                capture_output=True,
                timeout=MAX_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None, "it hangs"
        return done.returncode, done.stderr.decode("utf-8", "replace")

    code, err = limited(1 << 31)
    if code:
        raise RuntimeError(f"{program.name}: {err}")
    expected = _contents(directory, program)
    _remove(directory, program)
    # The smallest size that is enough, to half a MiB.
    low, high = 0, 1 << 31
    while high - low > 1 << 19:
        middle = (low + high) // 2
        code, _ = limited(middle)
        _remove(directory, program)
        low, high = (low, middle) if code == 0 else (middle, high)
    wrong: list[str] = []
    complete = 0
    for _ in range(cases):
        size = rng.randrange(high + (4 << 20))
        code, err = limited(size)
        if code == 0:
            complete += 1
            good = _contents(directory, program) == expected
        elif code == -signal.SIGSEGV:
            # CPython 3.11 calls itself without end when it has no memory left for a MemoryError.
            good = _is_of_others(f"ended: {code}: {err}")
        else:
            good = code == 1 and _says_no_memory(program, err)
        if not good:
            wrong.append(f"{size / (1 << 20):.1f} MiB: {code}: {err[-500:]}")
        if program.output is not None and code and rng.random() < 0.1:
            code, err = limited(1 << 31)
            if code or _contents(directory, program) != expected:
                wrong.append(f"resumed after {size / (1 << 20):.1f} MiB: {code}: {err[-500:]}")
        _remove(directory, program)
    return Found(
        f"address spaces that are too small: {program.name}",
        cases,
        len(wrong),
        {"complete": complete, "enough_mebibytes": round(high / (1 << 20), 1), "wrong": wrong[:4]},
    )


def _says_no_memory(program: Program, err: str) -> bool:
    if "--log" in program.words and '"failed"' in err:
        return "memory" in err.lower()
    return NO_MEMORY.fullmatch(err) is not None or OF_OTHERS.search(err) is not None
