"""Which part of a task's CPU time holds the GIL?

    python benchmarks/bench_gil.py --corpus prose.jsonl.zst

Threads scale where this part is small: with 1 per cent of it, 16 threads wait for one another for a
sixth of their time. The corpus is prepared in a child process by one worker, as each kind of input
and with each option, and the parent reads, 2,000 times a second, the word in the child's memory that
names the thread that holds the GIL. CPython 3.10 and 3.11 keep it in their one runtime; newer ones
keep one per interpreter, elsewhere, and are refused.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _run import argument_parser, choose_documents, utf8_size, write_rows

INTERVAL = 0.0005  # seconds between two samples

# Prints where the word may be, then sleeps without the GIL, so that the parent can tell which it is.
CHILD = """
import ctypes, json, resource, sys, time
import fastprep
inputs, output, settings = json.loads(sys.argv[1])
fastprep.prepare(inputs["warm"], output + ".warm", **settings)  # imports, tables, first calls
runtime = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime"))
ctypes.pythonapi.PyThreadState_Get.restype = ctypes.c_void_p
own = ctypes.pythonapi.PyThreadState_Get()
words = (ctypes.c_uint64 * 4096).from_address(runtime)
print(json.dumps([runtime + 8 * i for i in range(1024) if words[i] == own]), flush=True)
time.sleep(0.5)
usage = {}
def note(event):
    usage[event["event"]] = resource.getrusage(resource.RUSAGE_SELF)
    if event["event"] in ("started", "task done"):  # the only task of the job lies between
        print(event["event"], flush=True)
fastprep.prepare(inputs["corpus"], output, log=note, **settings)
after, before = usage["task done"], usage["started"]
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(json.dumps(cpu), flush=True)
"""


def gil_share(inputs: dict[str, str], output: Path, settings: dict[str, Any]) -> dict[str, float]:
    """The CPU seconds of preparing a corpus on one thread, and the part of them that holds the GIL."""
    arguments = json.dumps([inputs, str(output), settings])
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, arguments], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    memory = os.open(f"/proc/{child.pid}/mem", os.O_RDONLY)
    try:
        places = json.loads(child.stdout.readline())
        time.sleep(0.2)
        (place,) = [place for place in places if not _word(memory, place)]
        assert child.stdout.readline() == "started\n"
        held = 0.0
        start = last = time.perf_counter()
        while not select.select([child.stdout], [], [], INTERVAL)[0]:
            now = time.perf_counter()
            held += (now - last) * bool(_word(memory, place))
            last = now
        seconds = time.perf_counter() - start
        assert child.stdout.readline() == "task done\n"
        cpu = json.loads(child.stdout.readline())
    finally:
        os.close(memory)
        child.wait()
        for path in (output, Path(f"{output}.warm")):
            shutil.rmtree(path, ignore_errors=True)
    return {
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu, 3),
        "gil_seconds": round(held, 4),
        "gil_per_cent_of_cpu": round(100 * held / cpu, 2),
    }


def _word(memory: int, place: int) -> int:
    return int(struct.unpack("=Q", os.pread(memory, 8, place))[0])


def write_inputs(folder: Path, documents: list[str]) -> dict[str, str]:
    """The documents in each kind of file, with a small one of each kind beside it."""
    import gzip

    import pyarrow as pa
    import pyarrow.parquet as pq

    made = {}
    for name, chosen in (("corpus", documents), ("warm", documents[:5])):
        lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in chosen)
        escaped = "".join(json.dumps({"id": "x", "text": text}) + "\n" for text in chosen)
        (folder / f"{name}.jsonl").write_text(lines, newline="")
        (folder / f"{name}-escaped.jsonl").write_text(escaped, newline="")
        (folder / f"{name}.txt").write_text("<|endoftext|>".join(chosen), newline="")
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(lines.encode(), 6))
        pq.write_table(pa.table({"text": chosen}), folder / f"{name}.parquet")
        many = folder / f"{name}-files"
        many.mkdir()
        for number, text in enumerate(chosen[:4000]):
            (many / f"{number:05}.txt").write_text(text, newline="")
    for kind in (".jsonl", "-escaped.jsonl", ".txt", ".jsonl.gz", ".parquet", "-files"):
        made[kind] = {name: str(folder / f"{name}{kind}") for name in ("corpus", "warm")}
    return made


SETTINGS: dict[str, dict[str, Any]] = {
    "": {},
    "prepend": {"eot": "prepend"},
    "skip": {"on_error": "skip"},
    "replace": {"on_error": "replace"},
    "validation": {"validation": 0.1},
}


def main() -> None:
    """Measure each kind of input, and each option with two of them."""
    parser = argument_parser(__doc__ or "", megabytes=160, repeats=1)
    parser.add_argument("--encoding", default="r50k_base")
    arguments = parser.parse_args()
    documents = choose_documents(arguments.corpus, arguments.megabytes, arguments.seed)
    documents *= max(1, round(arguments.megabytes * 1e6 / utf8_size(documents)))
    rows = []
    with tempfile.TemporaryDirectory() as name:
        inputs = write_inputs(Path(name), documents)
        for kind, files in inputs.items():
            for option, settings in SETTINGS.items():
                if option and kind not in (".jsonl", ".txt"):
                    continue
                how = {"workers": 1, "progress": False, "encoding": arguments.encoding, **settings}
                how["shard_bytes"] = 1 << 40  # one task
                found = gil_share(files, Path(name) / "store", how)
                speed = round(utf8_size(documents) / 1e6 / found["seconds"], 1)
                row = {"input": kind, "option": option or None, **found, "mb_per_second": speed}
                print(row, file=sys.stderr)
                rows.append(row)
    write_rows("Which part of a task's CPU time holds the GIL?", rows, documents, arguments)


if __name__ == "__main__":
    main()
