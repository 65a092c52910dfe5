"""What do stores of trillions of tokens cost to open, to start on, to plan and to resume?

    python benchmarks/bench_scale.py --shards 250000 --documents 1000000000

By simulation: the files of a store are a few sparse ones with many names (hard links), which cost
no disk. So the figures are of a page cache that holds what is read: CPU seconds, memory,
descriptors, maps and requests, but not the time of a disk. Every part is measured in a process of
its own. The small store has shards of 20 tokens, so that `verify` and an export read all of it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

from _run import plain_parser, write_result

TOKENS = 64 << 20  # of a shard
LINKS = 50_000  # names of one file; ext4 has at most 65,000

# Runs a part and prints what it cost, over what the imports took.
CHILD = """
import json, os, resource, sys, time
import numpy, fastprep
spec = json.loads(sys.argv[1])
path, part = spec["path"], spec["part"]
if part in ("first batch", "resume", "packed"):
    import torch
    options = dict(batch_size=64, max_length=spec["length"], mmap=False, pin_memory=False)
    tiny = fastprep.create_dataloader(range(10**5), **{**options, "max_length": 64})
    next(iter(tiny))
elif part == "info":
    import fastprep.cli.main, fastprep.cli.info
elif part in ("verify", "export"):
    fastprep.verify, fastprep.export_store

def memory():
    with open("/proc/self/status") as file:
        values = dict(line.split(":", 1) for line in file)
    return int(values["VmHWM"].split()[0]) * 1024, int(values["RssAnon"].split()[0]) * 1024

before = memory()[0]
found = {}
wall, cpu = time.perf_counter(), time.process_time()
if part == "open":
    store = fastprep.TokenStore(path)
elif part == "info":
    import contextlib, io
    with contextlib.redirect_stdout(io.StringIO()):
        fastprep.cli.main.main(["info", path, "--json"])
elif part == "read":
    store = fastprep.TokenStore(path)
    began = time.perf_counter()
    step = store.num_tokens // 2000
    for number in range(2000):
        store[number * step : number * step + 100]
        store.document(number * (store.num_documents // 2000))
    found["slices and documents"] = 4000
elif part == "verify":
    fastprep.verify(path)
elif part == "export":
    fastprep.export_store(path, to="nanogpt", output=spec["output"])
else:
    layout = "packed" if part == "packed" else "sliding"
    loader = fastprep.create_dataloader(path, layout=layout, rank=5, world_size=4096, **options)
    found["made after"] = round(time.perf_counter() - wall, 4)
    if part == "resume":
        state = loader.state_dict()
        found["state bytes"] = len(json.dumps(state))
        times = []
        for number in range(1, 10):
            state["position"] = loader.sampler.length // 10 * number
            began = time.perf_counter()
            loader.load_state_dict(state)
            next(iter(loader))
            times.append(time.perf_counter() - began)
        found["resumed after, longest of 9"] = round(max(times), 4)
    else:
        began = time.perf_counter()
        next(iter(loader))
        found["first batch after"] = round(time.perf_counter() - began, 4)
        found["windows"] = len(loader.dataset)
        if part == "packed":
            found["utilisation"] = loader.dataset.packing[0].utilisation
found["seconds"] = round(time.perf_counter() - wall, 4)
found["cpu_seconds"] = round(time.process_time() - cpu, 4)
found["megabytes"] = round((memory()[0] - before) / 1e6, 1)
found["descriptors"] = len(os.listdir("/proc/self/fd"))
with open("/proc/self/maps") as file:
    found["maps of the store"] = sum("shard-" in line or "linked" in line for line in file)
print(json.dumps(found))
"""


def make_store(path: Path, shards: int, tokens: int, documents: int, *, seed: int = 1) -> None:
    """Write a store of equal shards: ids that are all 0, and documents of log-normal lengths."""
    import numpy as np

    import fastprep
    from fastprep.jobs.job import encoding_record
    from fastprep.store import manifest as manifests
    from fastprep.store.index import write_manifest

    path.mkdir()
    rng = np.random.default_rng(seed)
    weights = np.exp(rng.normal(0, 1.1, documents))
    lengths = 2 + np.floor(weights / weights.sum() * (tokens - 2 * documents)).astype(np.int64)
    lengths[-1] += tokens - lengths.sum()
    ends = np.cumsum(lengths).astype("<u8").tobytes()
    content = np.zeros(min(tokens, 8 << 20), "<u2").tobytes()
    ids = content if tokens < 1 << 20 else b""
    if ids:
        array = np.zeros(tokens, "<u2")
        array[np.cumsum(lengths) - 1] = 50256
        ids = array.tobytes()
    blocks = -(-tokens * 2 // (16 << 20))
    record = manifests.ShardRecord(
        tokens=tokens,
        documents=documents,
        max_id=50256 if ids else 0,
        bin_crc32=[zlib.crc32(ids)] if ids else [zlib.crc32(content)] * blocks,
        ends_crc32=[zlib.crc32(ends)] * -(-len(ends) // (16 << 20)),
        inputs=[],
    )
    records = []
    for index in range(shards):
        for kind, inside in (("bin", ids), ("ends", ends)):
            name = path / f"shard-{index:05d}.{kind}"
            source = path / f"shard-{index - index % LINKS:05d}.{kind}"
            if index % LINKS:
                os.link(source, name)
                continue
            with name.open("wb") as file:
                file.write(inside)
                file.truncate(tokens * 2 if kind == "bin" else len(ends))
        span = manifests.Span(f"/data/part-{index:06d}.parquet", 0, 300_000_000, 300_000_000)
        records.append(
            manifests.ShardRecord(
                **{name: getattr(record, name) for name in record.__struct_fields__[:5]},
                inputs=[span],
            )
        )
    write_manifest(
        path,
        manifests.Manifest(
            format="fastprep token store",
            version=manifests.VERSION,
            dtype="uint16",
            n_vocab=50257,
            encoding=encoding_record(fastprep.get_encoding("gpt2")),
            end_token=50256,
            separator=None,
            field="text",
            unicode_version=manifests.UNICODE_VERSION,
            tokens=tokens * shards,
            documents=documents * shards,
            shards=records,
        ),
    )


def measure(path: Path, part: str, length: int = 1024, **more: Any) -> dict[str, Any]:
    """Return what a part costs in a process of its own."""
    spec = json.dumps({"path": str(path), "part": part, "length": length, **more})
    done = subprocess.run(
        [sys.executable, "-c", CHILD, spec], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"{part}: {found}", file=sys.stderr)
    return dict(found)


def requests(path: Path, folder: Path) -> dict[str, Any] | None:
    """Count the system calls of a rank that name the store; None without strace."""
    if shutil.which("strace") is None:
        return None
    log = folder / "calls"
    spec = json.dumps({"path": str(path), "part": "first batch", "length": 1024})
    command = [
        "strace",
        "-f",
        "-y",
        "-e",
        "trace=file,read,pread64,fstat,getdents64",
        "-o",
        str(log),
    ]
    subprocess.run([*command, sys.executable, "-c", CHILD, spec], capture_output=True, check=True)
    calls = [line for line in log.read_text().splitlines() if str(path) in line]
    calls = [line for line in calls if "python" not in line and "+++" not in line]
    of_shards = [line for line in calls if "shard-" in line]
    read = [line for line in calls if "shard-" not in line and "read" in line.partition("(")[0]]
    # After it opens the file of a shard a reader asks whether the manifest was replaced.
    touched = len({line.partition("shard-")[2][:5] for line in of_shards})
    found = {
        "shards touched": touched,
        "requests for them": len(of_shards) + touched,
        "other requests": len(calls) - len(of_shards) - touched,
        "bytes read beside shards": sum(int(line.rsplit("= ", 1)[1]) for line in read),
    }
    print(f"requests: {found}", file=sys.stderr)
    return found


def main() -> None:
    """Make the stores and measure all parts."""
    parser = plain_parser(__doc__ or "", repeats=1)
    parser.add_argument("--shards", type=int, default=4000, help="of 64 Mi tokens (default: 4000)")
    parser.add_argument(
        "--documents", type=int, default=4_000_000, help="of the packed store (default: 4,000,000)"
    )
    parser.add_argument("--folder", type=Path, help="for the stores (default: a temporary one)")
    arguments = parser.parse_args()
    question = (
        "What do stores of trillions of tokens cost to open, to start on, to plan and to resume?"
    )
    result: dict[str, Any] = {"question": question, "shards": arguments.shards}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        large, small, packed = (folder / each for each in ("large", "small", "packed"))
        make_store(large, arguments.shards, TOKENS, 1 << 14)
        sizes = {path.name: path.stat().st_size for path in large.glob("manifest*")}
        result["tokens"] = arguments.shards * TOKENS
        result["manifest"] = sizes
        for part in ("open", "info", "read", "first batch", "resume"):
            result[part] = measure(large, part)
        result["requests"] = requests(large, folder)
        shutil.rmtree(large)
        make_store(small, arguments.shards, 20, 2)
        result["verify"] = measure(small, "verify")
        result["export"] = measure(small, "export", output=str(folder / "out"))
        shutil.rmtree(small)
        shards = -(-arguments.documents // (1 << 16))
        make_store(packed, shards, TOKENS, 1 << 16)
        result["documents"] = shards << 16
        result["packed"] = measure(packed, "packed", 2048)
    write_result(result, arguments.output)


if __name__ == "__main__":
    main()
