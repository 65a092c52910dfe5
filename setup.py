"""Builds the compiled core; everything else about the package stands in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

# The one list of compiler directives. Kernels work on raw pointers, so Python's checks are off;
# every bound is the kernel's own business and is tested as such.
#
# The modules declare that they do without the GIL. What threads may share never changes once it is
# made: rank tables, special tokens, decoders, word tables, shards; tables of a module are filled when
# it is imported. Two things of a Vocabulary do change: its list of idle scratch memory, by the list's
# own append and pop, each atomic, so one call at a time has what it took; and its ints, each made in a
# critical section and put in its place at once. What a caller changes while a call reads it is the
# caller's to guard, as with a GIL, which the kernels release. Reasoned, not run: no free-threaded Python
# was at hand.
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
# FASTPREP_ANNOTATE=1 writes Cython's annotated HTML beside each module.
FLAGS = ["-O3", "-fno-math-errno", "-Wno-unused-function", "-Wno-sign-compare"]
LINK: list[str] = []
if os.environ.get("FASTPREP_DEBUG"):
    FLAGS += ["-g", "-UNDEBUG"]
if os.environ.get("FASTPREP_SANITIZE"):
    SANITIZE = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g"]
    FLAGS += SANITIZE
    LINK += SANITIZE
if "-g" not in FLAGS:
    FLAGS.append("-g0")  # Python's own flags bring -g: five sixths of the files were debug symbols

# One module for each stage: its .pyx includes the parts, which lie in the folder of its name (those of
# bpe in split/, too).
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
