"""How long until a new process has an encoding?

    python benchmarks/bench_load.py

Each time is of a new process that imports the library, makes the encoding and encodes a few words; the
two libraries take turns. tiktoken's files are in its cache, the bytecode of both is compiled. "load" is
making the encoding, "total" is import and load, "first ids" is the additional time of the first call;
"compiled" is the size of the extension modules.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import tiktoken_cache
from _run import ROOT, plain_parser, write_result

import fastprep_ext
from fastprep import list_encoding_names

PROGRAM = """
from time import perf_counter
begin = perf_counter()
import {library}
imported = perf_counter()
encoding = {library}.get_encoding({name!r})
made = perf_counter()
ids = encoding.encode("hello world")
print([imported - begin, made - imported, made - begin, perf_counter() - made, ids])
"""
PARTS = ("import", "load", "total", "first ids")


def run(library: str, name: str, environment: dict[str, str]) -> tuple[list[float], list[int]]:
    """Return the seconds of each part, and the ids."""
    program = PROGRAM.format(library=library, name=name)
    command = [sys.executable, "-c", program]
    *seconds, ids = json.loads(subprocess.check_output(command, env=environment, text=True))
    return seconds, ids


def main() -> None:
    """Compare the ids, measure, and print the result."""
    question = __doc__.splitlines()[0]
    arguments = plain_parser(question, repeats=15).parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        tiktoken_cache.fill(Path(folder) / "tiktoken")
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
            "PYTHONPATH": str(ROOT),
            "PYTHONPYCACHEPREFIX": f"{folder}/bytecode",
            "TIKTOKEN_CACHE_DIR": f"{folder}/tiktoken",
        }
        libraries = ("tiktoken", "fastprep")
        for name in list_encoding_names():
            first, second = (run(library, name, environment)[1] for library in libraries)
            if first != second:
                raise SystemExit(f"{name}: tiktoken gives other ids; nothing was timed")
            times: dict[str, list[list[float]]] = {library: [] for library in libraries}
            for turn in range(arguments.repeats):
                for library in libraries[:: -1 if turn % 2 else 1]:
                    times[library].append(run(library, name, environment)[0])
            row: dict[str, Any] = {"encoding": name}
            for library in libraries:
                columns = list(zip(*times[library], strict=True))
                row[library] = {
                    part: {
                        "median_milliseconds": round(1e3 * median(column), 2),
                        "best_milliseconds": round(1e3 * min(column), 2),
                    }
                    for part, column in zip(PARTS, columns, strict=True)
                }
            pairs = zip(times["tiktoken"], times["fastprep"], strict=True)
            row["part_of_tiktokens_total"] = round(median(b[2] / a[2] for a, b in pairs), 3)
            rows.append(row)
    compiled = [path.stat().st_size for path in Path(fastprep_ext.__file__).parent.glob("*.so")]
    size = {"modules": len(compiled), "bytes": sum(compiled)}
    write_result(
        {"question": question, "repeats": arguments.repeats, "compiled": size, "rows": rows},
        arguments.output,
    )


if __name__ == "__main__":
    main()
