"""Build of the compiled core; everything else about the package is in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

# The one list of compiler directives. Kernels work on raw pointers, so Python's checks are off; every
# kernel checks its own bounds, and its tests cover them.
#
# The modules declare that they do not need the GIL. Objects that threads may share are immutable once
# constructed: rank tables, special tokens, decoders, word tables, shards; tables of a module are filled
# when it is imported. A Vocabulary's list of idle scratch memory does change, by the list's append and
# pop, which are atomic, so a scratch serves one call at a time; the ints that lists of ids share are
# published by an atomic exchange. Buffers that a caller changes while a call reads them are the caller's
# to guard, as with a GIL, which kernels release. docs/platforms.md says what of it is tested.
#
# Two forms are not used, because of Cython 3.3.1. Where the append of a comprehension ([f(x) for x
# in y]) has no memory, the item is released twice: loops, or list(map(f, y)). Where there is no
# memory for the traceback of an exception that an "except" catches, a reference of NULL is dropped,
# which crashes: checks before, or functions of C that return NULL.
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "embedsignature": True,
    "freethreading_compatible": True,
}

# FASTPREP_DEBUG=1 builds with assertions and symbols, FASTPREP_SANITIZE=1 under ASAN and UBSAN,
# FASTPREP_ANNOTATE=1 writes Cython's annotated HTML next to each C file.
FLAGS = ["-O3", "-fno-math-errno", "-Wno-unused-function", "-Wno-sign-compare"]
LINK: list[str] = []
if os.environ.get("FASTPREP_DEBUG"):
    FLAGS += ["-g", "-UNDEBUG"]
if os.environ.get("FASTPREP_SANITIZE"):
    SANITIZE = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g"]
    FLAGS += SANITIZE
    LINK += SANITIZE
if "-g" not in FLAGS:
    FLAGS.append("-g0")  # Python's flags include -g: five sixths of each file were debug symbols

# One module per stage: its .pyx includes the parts, which are in the folder of the same name (those of
# bpe also in split/).
HERE = Path(__file__).parent
SOURCES = sorted(path.relative_to(HERE).as_posix() for path in HERE.glob("fastprep_ext/*.pyx"))
HEADERS = sorted(path.relative_to(HERE).as_posix() for path in HERE.glob("fastprep_ext/*/*.h"))

setup(
    ext_modules=cythonize(
        [
            Extension(
                source.removesuffix(".pyx").replace("/", "."),
                [source],
                include_dirs=["fastprep_ext"],
                depends=HEADERS,
                extra_compile_args=FLAGS,
                extra_link_args=LINK,
            )
            for source in SOURCES
        ],
        compiler_directives=DIRECTIVES,
        annotate=bool(os.environ.get("FASTPREP_ANNOTATE")),
        build_dir="build",
    ),
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
)
