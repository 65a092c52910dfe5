"""Writes the tables of figures in README and docs/scaling.md from the JSON in benchmarks/results.

    python benchmarks/report.py

Nothing in the tables is typed by hand: a figure that was not measured does not appear.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"


def result_path(name: str) -> Path:
    """Where a result lies."""
    return RESULTS / f"{name}.json"


def load(name: str) -> dict[str, Any]:
    """One result."""
    result: dict[str, Any] = json.loads(result_path(name).read_text(encoding="utf-8"))
    return result


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A table in Markdown, numbers to the right."""
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def side_rows(results: list[dict[str, Any]], figures: str, times: str) -> list[list[str]]:
    """A row a side, a column a result: its figure, and in brackets a ratio where there is one."""
    rows = []
    for side in results[0][figures]:
        row = [side]
        for result in results:
            cell = f"{result[figures][side]:.0f}"
            ratio = result[times].get(side)
            row.append(cell if ratio is None else f"{cell} ({ratio:.1f}x)")
        rows.append(row)
    return rows


def encode_rows(encoding: str) -> list[list[str]]:
    """MB/s of encoding and how many times tiktoken's that is, a column a corpus."""
    results = [load(f"encode-{encoding}-{name}") for name in ("prose", "code", "multi")]
    return side_rows(results, "megabytes_per_second", "times_faster_than_tiktoken")


def file_rows(what: str) -> list[list[str]]:
    """MB/s from a text file to a file of ids, a row an encoding and number of threads."""
    results = [load(f"files-{name}") for name in ("prose", "code", "multi")]
    rows = []
    for cells in zip(*(result["rows"] for result in results), strict=True):
        row = [f"{cells[0]['encoding']}, {cells[0]['threads']}"]
        for cell in cells:
            ours, theirs = cell["fastprep"][what], cell["gigatoken"][what]
            row.append(f"{theirs:.0f} / {ours:.0f} ({cell['times_faster'][what]:.1f}x)")
        rows.append(row)
    return rows


def word_rows() -> list[list[str]]:
    """MB/s of the word tokenizers and of the notebook's."""
    return [
        [
            row["what"],
            f"{row['megabytes_per_second']['notebook']:.0f}",
            f"{row['megabytes_per_second']['fastprep']:.0f}",
            f"{row['times_faster_than_notebook']['fastprep']:.1f}x",
        ]
        for row in load("words-prose")["rows"]
    ]


def load_rows() -> list[list[str]]:
    """Milliseconds until a fresh process has an encoding, and until it has the first ids."""
    rows = []
    for row in load("load")["rows"]:
        theirs, ours = (
            {part: times["median_milliseconds"] for part, times in row[side].items()}
            for side in ("tiktoken", "fastprep")
        )
        first = [side["total"] + side["first ids"] for side in (theirs, ours)]
        rows.append(
            [
                row["encoding"],
                f"{theirs['import']:.0f} + {theirs['load']:.0f}",
                f"{ours['total']:.0f}",
                f"{row['part_of_tiktokens_total']:.2f}",
                f"{first[0]:.0f}",
                f"{first[1]:.0f}",
            ]
        )
    return rows


def call_rows() -> list[list[str]]:
    """Microseconds of a call on a prompt, and milliseconds of decoding a million ids."""
    rows = []
    for row in load("calls")["rows"]:
        cells = [
            f"{times['tiktoken']:.1f} / {times['fastprep']:.2f}"
            for times in row["microseconds"].values()
        ]
        million = row["million_ids_milliseconds"]
        cells.append(" / ".join(f"{million[side]:.0f}" for side in million))
        rows.append([row["encoding"], *cells])
    return rows


def loader_rows() -> list[list[str]]:
    """Mtok/s of each loader, and how many times that the package's is, a column a shape."""
    shapes = load("loader")["shapes"]
    return side_rows(shapes, "million_tokens_per_second", "fastprep_one_thread_times")


def prepare_results() -> list[dict[str, Any]]:
    """What bench_prepare.py found on each corpus that it was run on."""
    names = ("prose", "code", "multi")
    return [load(f"prepare-{name}") for name in names if result_path(f"prepare-{name}").exists()]


def prepare_rows(results: list[dict[str, Any]]) -> list[list[str]]:
    """MB/s of a whole process from JSON lines to ids and document ends, a column a corpus."""
    rows = []
    for cells in zip(*(result["rows"] for result in results), strict=True):
        for side in cells[0]["megabytes_per_second"]:
            row = [f"{side}, {cells[0]['encoding']}"]
            for cell in cells:
                times = cell["two_workers_are_times_faster_than"].get(side)
                shown = f"{cell['megabytes_per_second'][side]:.0f}"
                row.append(shown if times is None else f"{shown} ({times:.1f}x)")
            row.append(f"{max(cell['mebibytes'][side] for cell in cells)}")
            rows.append(row)
    return rows


def prepare_lines() -> list[str]:
    """The part of README about prepare, if it was measured."""
    results = prepare_results()
    if not results:
        return []
    run, copies = results[0]["run"], results[0]["copies"]
    names = [Path(result["corpus"]["file"]).name.split(".")[0] for result in results]
    verify = min(
        row["verify"]["megabytes"] / row["verify"]["seconds"]
        for result in results
        for row in result["rows"]
    )
    return [
        "A file of JSON lines to ids and document ends, whole processes, MB/s of text; in brackets how "
        f"many times faster two workers are; and the largest process, MiB. The corpora {copies} times "
        f"over, on a {run['cpus']}-core {run['cpu']}. `verify` reads a store at no less than "
        f"{verify:.0f} MB/s.",
        "",
        *table(["", *names, "MiB"], prepare_rows(results)),
        "",
    ]


# -- scaling ---------------------------------------------------------------------------------------

SCALING = ROOT / "docs" / "scaling.md"
SCALING_BEGIN, SCALING_END = "<!-- scaling:begin -->", "<!-- scaling:end -->"
TERABYTES = 10
CORES = 64


def hours(seconds: float) -> str:
    """A time for people.

    >>> hours(90), hours(7200), hours(864000)
    ('1.5 min', '2.0 h', '10.0 days')
    """
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def scaling_lines() -> list[str]:
    """What 10 TB take, from the rates that were measured; nothing if none were."""
    rows = []
    for result in prepare_results():
        name = Path(result["corpus"]["file"]).name.split(".")[0]
        for row in result["rows"]:
            # By the CPU's clock: what others did on the machine meanwhile does not count.
            size = result["corpus"]["bytes"] * result["copies"] / 1e6
            cpu = row["cpu_seconds"]
            rate = size / cpu["fastprep, 2 workers"]
            seconds = TERABYTES * 1e6 / rate
            verify = row["verify"]["cpu_seconds"] / row["verify"]["megabytes"]
            stored = row["verify"]["megabytes"] / size * TERABYTES
            rows.append(
                [
                    f"{name}, {row['encoding']}",
                    f"{rate:.0f}",
                    f"{cpu['fastprep, 1 worker'] / cpu['fastprep, 2 workers']:.2f}",
                    hours(seconds / CORES),
                    hours(seconds / CORES / 100),
                    f"{CORES * rate / 1e3:.1f}",
                    f"{stored:.1f}",
                    hours(stored * 1e6 * verify / CORES),
                ]
            )
    if not rows:
        return []
    head = [
        "",
        "MB/s a core",
        "1 worker / 2",
        "one node",
        "100 nodes",
        "GB/s read a node",
        "TB stored",
    ]
    return table([*head, "verified on one node"], rows)


def replace(path: Path, begin: str, end: str, lines: list[str]) -> None:
    """Put lines between two marks of a file."""
    before, rest = path.read_text(encoding="utf-8").split(begin)
    text = before + "\n".join([begin, *lines, end]) + rest.split(end)[1]
    path.write_text(text, encoding="utf-8")


def main() -> None:
    """Replace what stands between the marks in README, and in the page about scaling."""
    run = load("encode-gpt2-prose")["run"]
    shapes, start = load("loader")["shapes"], load("loader")["start"]
    encodings = []
    for name in ("gpt2", "cl100k_base", "o200k_base"):
        encodings += [*table([name, "prose", "code", "multilingual"], encode_rows(name)), ""]
    lines = [
        "## Figures",
        f"MB/s of text, one thread, medians on a {run['cpus']}-core {run['cpu']} virtual machine, "
        f"Python {run['python']}; both sides in turns in one process, all ids compared first. The "
        "JSON, with versions and commits, is in `benchmarks/results`.",
        "",
        "A text file to a file of ids, gigatoken / fastprep: the first pass of a new process.",
        "",
        *table(["encoding, threads", "prose", "code", "multilingual"], file_rows("first")),
        "",
        "The same once the process has seen other text of the kind.",
        "",
        *table(["encoding, threads", "prose", "code", "multilingual"], file_rows("later")),
        "",
        *prepare_lines(),
        "Encoding, documents one by one; in brackets how many times tiktoken's speed. Cold: the "
        "first pass of a new encoding over new text. Warm: the same text again.",
        "",
        *encodings,
        "A fresh process, milliseconds: until it has an encoding (tiktoken: importing + loading its "
        "cached files; fastprep: both), as a part of tiktoken's time, and until it has the first ids.",
        "",
        *table(
            ["", "tiktoken", "fastprep", "part", "tiktoken, first ids", "fastprep, first ids"],
            load_rows(),
        ),
        "",
        "One call on a prompt of 100 bytes, microseconds, tiktoken / fastprep; and a million random ids "
        "to bytes, milliseconds, tiktoken / fastprep from a list / from an array.",
        "",
        *table(["", *load("calls")["rows"][0]["microseconds"], "million ids"], call_rows()),
        "",
        "Word tokenizers on prose:",
        "",
        *table(["", "notebook", "fastprep", ""], word_rows()),
        "",
        f"Loaders, shuffled batches of int64 inputs and targets, million tokens a second, on a "
        f"{load('loader')['run']['cpu']}; in brackets how many times that the package has on one "
        "thread. The plain widening copy is the bound: as many tokens in a row, shuffled not at all.",
        "",
        *table(["", *(f"L={s['max_length']}, B={s['batch_size']}" for s in shapes)], loader_rows()),
        "",
        f"The first batch of {start['windows'] / 1e9:.0f} billion windows, shuffled: "
        f"{start['seconds_to_first_batch']:.2f} s and {start['mebibytes_it_took']:.0f} MiB; the "
        f"dataset pickles to {start['pickled_dataset_bytes']} bytes.",
    ]
    replace(ROOT / "README.md", BEGIN, END, lines)
    replace(SCALING, SCALING_BEGIN, SCALING_END, scaling_lines())


if __name__ == "__main__":
    main()
