"""Writes README's table of figures from the JSON in benchmarks/results.

    python benchmarks/report.py

Nothing in the table is typed by hand: a figure that was not measured does not appear.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"


def load(name: str) -> dict[str, Any]:
    """One result."""
    result: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
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


def main() -> None:
    """Replace what stands between the marks in README."""
    run = load("encode-gpt2-prose")["run"]
    shapes, start = load("loader")["shapes"], load("loader")["start"]
    encodings = []
    for name in ("gpt2", "cl100k_base", "o200k_base"):
        encodings += [*table([name, "prose", "code", "multilingual"], encode_rows(name)), ""]
    lines = [
        BEGIN,
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
        END,
    ]
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    path.write_text(before + "\n".join(lines) + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
