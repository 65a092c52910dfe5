"""The process that bench_files.py measures: text files to files of ids, by one side.

    python benchmarks/encode_child.py [--cold] SIDE ENCODING THREADS TARGET SOURCE...

Prints the seconds of each source and the peak memory as JSON. It imports almost nothing itself. With
--cold it has encoded nothing before the first source.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

VOCABULARIES = Path(__file__).resolve().parents[1] / "fastprep" / "vocabulary" / "vocabularies"


def encoder_of(side: str, encoding: str, threads: int) -> Callable[[Path, Path], object]:
    """Return a function from a text file to a file of ids, with the encoding loaded."""
    if side == "fastprep":
        import fastprep

        ours = fastprep.get_encoding(encoding)
        return lambda source, target: ours.encode_file(source, target, workers=threads)
    import gigatoken
    import numpy as np

    theirs = gigatoken.Tokenizer.from_tiktoken(VOCABULARIES / f"{encoding}.tiktoken")
    dtype = np.uint16 if encoding == "r50k_base" else np.uint32

    def encode(source: Path, target: Path) -> None:
        documents = theirs.encode_files(gigatoken.TextFileSource([source]), parallel=threads > 1)
        np.asarray(documents[0]).astype(dtype).tofile(target)

    return encode


def main() -> None:
    """Encode, and print the result."""
    cold = sys.argv[1] == "--cold"
    side, encoding, threads, *paths = sys.argv[2 if cold else 1 :]
    target, *sources = map(Path, paths)
    encode = encoder_of(side, encoding, int(threads))
    if not cold:
        # The imports of a library at its first call (gigatoken: awkward, 0.3 s) are not encoding.
        letter = target.with_suffix(".letter")
        letter.write_bytes(b"a")
        encode(letter, target)
    seconds = []
    for source in sources:
        start = time.perf_counter()
        encode(source, target)
        seconds.append(time.perf_counter() - start)
    # Not getrusage: a child inherits its parent's peak there.
    status = Path("/proc/self/status").read_text() if sys.platform == "linux" else ""
    most = [int(line.split()[1]) / 1024 for line in status.splitlines() if "VmHWM" in line]
    print(json.dumps({"seconds": seconds, "mebibytes": most[0] if most else 0}))


if __name__ == "__main__":
    main()
