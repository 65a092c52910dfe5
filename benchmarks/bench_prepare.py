"""How much faster than a script becomes a corpus a token store, from the first process to the last byte?

    python benchmarks/bench_prepare.py --corpus prose.jsonl.zst

A file of JSON lines becomes ids with an end token behind each document, and document ends. Each
measurement is a whole process: Python starts, the encoding is loaded, the file read, everything
written. The sides:

fastprep, 1 and 2 workers
    ``fastprep prepare``: besides, it checks every id, checksums and syncs what it writes, and can be
    killed at any moment.
gigatoken, files
    its own reader of JSON lines on 2 threads, end tokens put in by numpy; all ids in memory at once.
gigatoken, batches
    ``json.loads`` a line, batches of 16 MB on 2 threads, written as they come.
tiktoken
    what people write: a line, ``encode_ordinary``, a list, an array, a file.

The ids and ends of all sides are compared before anything is timed. Then the sides take turns.
Memory is the most that any single process of a side had resident; CPU seconds are those of all its
processes. The same corpus as ``.jsonl.zst`` and as ``.parquet`` is measured where fastprep reads them,
and how long each takes to be read alone, by one thread, into texts that nobody encodes: what unpacking
takes from the encoder's cores. ``fastprep verify`` is measured on the store.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from _run import argument_parser, choose_documents, describe_corpus, write_result
from tqdm import tqdm

from fastprep.corpus.documents import Format
from fastprep.corpus.reader import batches
from fastprep.corpus.sources import whole

ROOT = Path(__file__).resolve().parents[1]
VOCABULARIES = ROOT / "fastprep" / "vocabulary" / "vocabularies"
END = "<|endoftext|>"
END_IDS = {"r50k_base": 50256, "cl100k_base": 100257, "o200k_base": 199999}
BATCH_BYTES = 16_000_000
THREADS = 2


# -- the scripts -----------------------------------------------------------------------------------


def with_end_tokens(ids: Any, ends: Any, end: int, dtype: Any) -> tuple[Any, Any]:
    """Ids with `end` behind each document, in one pass of numpy; and where documents end then."""
    ends = ends + np.arange(1, len(ends) + 1)
    out = np.empty(len(ids) + len(ends), dtype)
    inside = np.ones(len(out), bool)
    inside[ends - 1] = False
    out[inside] = ids
    out[ends - 1] = end
    return out, ends


def gigatoken_files(source: Path, target: Path, encoding: str) -> None:
    """gigatoken reads the file itself."""
    import gigatoken

    tokenizer = gigatoken.Tokenizer.from_tiktoken(VOCABULARIES / f"{encoding}.tiktoken")
    found = tokenizer.encode_files(gigatoken.JsonlFileSource([source]), parallel=True)
    layout = found.layout
    offsets, ids = np.asarray(layout.offsets), layout.content.data
    out, ends = with_end_tokens(ids, offsets[1:], END_IDS[encoding], dtype_of(encoding))
    out.tofile(target / "ids")
    ends.astype(np.uint64).tofile(target / "ends")


def gigatoken_batches(source: Path, target: Path, encoding: str) -> None:
    """Lines are read by Python, and encoded some at a time."""
    import gigatoken

    tokenizer = gigatoken.Tokenizer.from_tiktoken(VOCABULARIES / f"{encoding}.tiktoken")
    done = 0
    with (target / "ids").open("wb") as ids, (target / "ends").open("wb") as ends:

        def flush(texts: list[str]) -> None:
            nonlocal done
            layout = tokenizer.encode_batch(texts, parallel=True).layout
            offsets = np.asarray(layout.offsets)
            content = layout.content.data
            out, reached = with_end_tokens(
                content, offsets[1:], END_IDS[encoding], dtype_of(encoding)
            )
            out.tofile(ids)
            (reached + done).astype(np.uint64).tofile(ends)
            done += len(out)

        texts: list[str] = []
        size = 0
        with source.open("rb") as lines:
            for line in lines:
                texts.append(json.loads(line)["text"])
                size += len(line)
                if size > BATCH_BYTES:
                    flush(texts)
                    texts, size = [], 0
        if texts:
            flush(texts)


def tiktoken_recipe(source: Path, target: Path, encoding: str) -> None:
    """What people write; its tables lie in the folder that TIKTOKEN_CACHE_DIR names."""
    import tiktoken

    enc = tiktoken.get_encoding(encoding)
    ids: list[int] = []
    ends = []
    with source.open(encoding="utf-8") as lines:
        for line in lines:
            ids.extend(enc.encode_ordinary(json.loads(line)["text"]))
            ids.append(enc.eot_token)
            ends.append(len(ids))
    np.array(ids, dtype_of(encoding)).tofile(target / "ids")
    np.array(ends, np.uint64).tofile(target / "ends")


SCRIPTS: dict[str, Callable[[Path, Path, str], None]] = {
    "gigatoken, files": gigatoken_files,
    "gigatoken, batches": gigatoken_batches,
    "tiktoken": tiktoken_recipe,
}
OURS = {"fastprep, 1 worker": 1, "fastprep, 2 workers": 2}


def dtype_of(encoding: str) -> Any:
    """The dtype of an encoding's ids on disk."""
    return np.uint16 if END_IDS[encoding] < 1 << 16 else np.uint32


# -- measuring -------------------------------------------------------------------------------------


class Ran:
    """One run of a command: how long it took, what it cost, and the largest process of it.

    ``cpu_seconds`` are those of all its processes together: what it would take on a machine that does
    nothing else, where ``seconds`` is also what others did meanwhile.
    """

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        start = time.perf_counter()
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                command, env=environment, stdout=subprocess.DEVNULL, stderr=errors
            )
            peaks: dict[int, float] = {}
            while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
                for pid in [process.pid, *_descendants(process.pid)]:
                    peaks[pid] = max(peaks.get(pid, 0.0), _peak_of(pid))
                time.sleep(0.01)
            self.seconds = time.perf_counter() - start
            errors.seek(0)
            self.message = errors.read().decode()
        self.code = process.returncode = os.waitstatus_to_exitcode(ended[1])
        self.cpu_seconds = ended[2].ru_utime + ended[2].ru_stime
        self.mebibytes = max(peaks.values())


def _descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(word) for word in task.read_text().split()]
        except OSError:  # it ended meanwhile
            continue
        for child in children:
            found += [child, *_descendants(child)]
    return found


def _peak_of(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return max([int(line.split()[1]) / 1024 for line in lines if "VmHWM" in line], default=0.0)


def run(side: str, source: Path, target: Path, encoding: str) -> Ran:
    """One new process of a side, into an empty target."""
    shutil.rmtree(target, ignore_errors=True)
    environment = {
        **os.environ,
        "RAYON_NUM_THREADS": str(THREADS),
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    if side in OURS:
        command = [sys.executable, "-m", "fastprep", "prepare", str(source), "-o", str(target)]
        command += ["--encoding", encoding, "--workers", str(OURS[side]), "--quiet"]
    else:
        target.mkdir()
        command = [sys.executable, __file__, "--child", side, str(source), str(target), encoding]
    return Ran(command, environment)


def output_of(side: str, target: Path, encoding: str) -> tuple[Any, Any]:
    """The ids and ends that a side wrote."""
    if side in OURS:
        import fastprep

        store = fastprep.TokenStore(target)
        return store[:], store.document_ends
    return np.fromfile(target / "ids", dtype_of(encoding)), np.fromfile(target / "ends", np.uint64)


# -- the corpus in each format ---------------------------------------------------------------------


def write_jsonl(path: Path, documents: list[str], copies: int) -> None:
    """One object a line, the whole corpus `copies` times."""
    content = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in documents)
    data = content.encode("utf-8", "replace")
    with path.open("wb") as file:
        for _ in range(copies):
            file.write(data)


def write_zst(path: Path, source: Path) -> None:
    """The same, compressed."""
    import zstandard

    with source.open("rb") as plain, path.open("wb") as file:
        zstandard.ZstdCompressor(level=3).copy_stream(plain, file)


def write_parquet(path: Path, documents: list[str], copies: int) -> None:
    """One column, a row group a few thousand documents."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    clean = [text.encode("utf-8", "replace").decode() for text in documents]
    table = pa.table({"text": pa.array(clean, pa.large_string())})
    with pq.ParquetWriter(path, table.schema) as writer:
        for _ in range(copies):
            writer.write_table(table, row_group_size=1000)


# -- the question ----------------------------------------------------------------------------------


def measure(
    sides: list[str], sources: dict[str, Path], directory: Path, encoding: str, options: Any
) -> dict[str, Any]:
    """One encoding: ids compared, then everything in turns."""
    megabytes = options.bytes * options.copies / 1e6
    stored = 0.0
    plain = sources["jsonl"]
    first: tuple[Any, Any] | None = None
    for side in sides:
        ran = run(side, plain, directory / "out", encoding)
        if ran.code:
            raise SystemExit(f"{side}: {ran.message}")
        found = output_of(side, directory / "out", encoding)
        if first is None:
            first = tuple(np.array(array) for array in found)  # type: ignore[assignment]
        elif not all(map(np.array_equal, first, found)):
            raise SystemExit(f"{encoding}, {side}: other ids or ends; nothing was timed")
    cells = {side: ("jsonl", side) for side in sides}
    for kind in sources:
        if kind == "jsonl":
            continue
        ran = run("fastprep, 2 workers", sources[kind], directory / "out", encoding)
        if ran.code:
            print(f"{kind} is left out: {ran.message.strip()}", file=sys.stderr)
            continue
        if first is None or not np.array_equal(
            first[0], output_of("fastprep, 2 workers", directory / "out", encoding)[0]
        ):
            raise SystemExit(f"{encoding}, {kind}: other ids; nothing was timed")
        cells[f"fastprep, 2 workers, {kind}"] = (kind, "fastprep, 2 workers")
    runs: dict[str, list[Ran]] = {name: [] for name in cells}
    verified: list[Ran] = []
    for turn in range(options.repeats):
        for name in list(cells)[:: -1 if turn % 2 else 1]:
            if name == "tiktoken" and turn >= options.tiktoken_repeats:
                continue
            kind, side = cells[name]
            runs[name].append(run(side, sources[kind], directory / "out", encoding))
            if name == "fastprep, 2 workers":
                stored = sum(file.stat().st_size for file in (directory / "out").iterdir()) / 1e6
                command = [sys.executable, "-m", "fastprep", "verify", str(directory / "out")]
                environment = {**os.environ, "PYTHONPATH": str(ROOT)}
                verified.append(Ran([*command, "--quiet"], environment))
    seconds = {name: median(ran.seconds for ran in some) for name, some in runs.items()}
    best = seconds["fastprep, 2 workers"]
    return {
        "encoding": encoding,
        "megabytes_per_second": {name: round(megabytes / s, 1) for name, s in seconds.items()},
        "two_workers_are_times_faster_than": {
            name: round(s / best, 2) for name, s in seconds.items() if name not in OURS
        },
        "two_workers_are_times_one": round(seconds["fastprep, 1 worker"] / best, 2),
        "cpu_seconds": {
            name: round(median(ran.cpu_seconds for ran in some), 2) for name, some in runs.items()
        },
        "mebibytes": {
            name: round(max(ran.mebibytes for ran in some)) for name, some in runs.items()
        },
        "verify": {
            "megabytes": round(stored, 1),
            "seconds": round(median(ran.seconds for ran in verified), 3),
            "cpu_seconds": round(median(ran.cpu_seconds for ran in verified), 3),
            "mebibytes": round(max(ran.mebibytes for ran in verified)),
        },
    }


def reading_rates(sources: dict[str, Path], options: Any) -> dict[str, float]:
    """MB of text a second that one thread reads of each kind of file, and nobody encodes."""
    megabytes = options.bytes * options.copies / 1e6
    rates = {}
    for kind, source in sources.items():
        seconds = []
        for _ in range(options.repeats):
            start = time.perf_counter()
            for _batch in batches(whole(source), Format()):
                pass
            seconds.append(time.perf_counter() - start)
        rates[kind] = round(megabytes / median(seconds), 1)
    return rates


def main() -> None:
    """Compare the ids, measure, print."""
    question = __doc__.splitlines()[0]
    parser = argument_parser(question, megabytes=1000, repeats=5)
    parser.add_argument("--encodings", nargs="*", default=["r50k_base", "o200k_base"])
    parser.add_argument(
        "--copies", type=int, default=1, help="of the corpus, one behind the other (default: 1)"
    )
    parser.add_argument(
        "--tiktoken-repeats", type=int, default=2, help="it is slow (default: %(default)s)"
    )
    options = parser.parse_args()
    sides = list(OURS)
    for side in SCRIPTS:
        package = side.partition(",")[0]
        if importlib.util.find_spec(package):
            sides.append(side)
        else:
            print(f"{package} is not installed and is left out", file=sys.stderr)
    documents = choose_documents(options.corpus, options.megabytes, options.seed)
    corpus = describe_corpus(options.corpus, documents, options.seed)
    options.bytes = corpus["bytes"]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        sources = {"jsonl": directory / "corpus.jsonl"}
        write_jsonl(sources["jsonl"], documents, options.copies)
        if importlib.util.find_spec("zstandard"):
            sources["jsonl.zst"] = directory / "corpus.jsonl.zst"
            write_zst(sources["jsonl.zst"], sources["jsonl"])
        if importlib.util.find_spec("pyarrow"):
            sources["parquet"] = directory / "corpus.parquet"
            write_parquet(sources["parquet"], documents, options.copies)
        if importlib.util.find_spec("tiktoken"):
            from tiktoken_cache import fill

            fill(directory / "tiktoken")
            os.environ["TIKTOKEN_CACHE_DIR"] = str(directory / "tiktoken")
        for encoding in tqdm(options.encodings, unit="encoding", disable=None):
            rows.append(measure(sides, sources, directory, encoding, options))
        reading = reading_rates(sources, options)
    result = {"question": question, "corpus": corpus, "copies": options.copies}
    result |= {"repeats": options.repeats, "reading_megabytes_per_second": reading}
    write_result({**result, "rows": rows}, options.output)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        side, source, target, encoding = sys.argv[2:]
        SCRIPTS[side](Path(source), Path(target), encoding)
    else:
        main()
