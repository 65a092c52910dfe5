"""The ranges of files that a program requests from the disk, as a preloaded library records them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import numpy.typing as npt

RECORDER = """
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
int posix_fadvise(int file, long offset, long count, int advice) {
    struct stat found;
    FILE *out = fopen(getenv("REQUESTS"), "a");
    fstat(file, &found);
    fprintf(out, "%ld %ld %ld\\n", (long)found.st_ino, offset, count);
    fclose(out);
    return 0;
}
int posix_fadvise64(int file, long offset, long count, int advice) {
    return posix_fadvise(file, offset, count, advice);
}
"""


def requests_of(program: str, argument: Path, folder: Path) -> npt.NDArray[np.int64]:
    """Run a Python program, and return its requests: inode, offset and bytes, ``[n, 3]``; needs gcc."""
    (folder / "record.c").write_text(RECORDER)
    library = folder / "record.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, folder / "record.c"], check=True)
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(argument)],
        env={**os.environ, "LD_PRELOAD": str(library), "REQUESTS": str(folder / "requests")},
        check=True,
    )
    found: npt.NDArray[np.int64] = np.loadtxt(folder / "requests", np.int64, ndmin=2)
    return found
