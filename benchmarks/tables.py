"""Tables of figures, from the JSON of a run. A figure that was not measured does not appear."""

from __future__ import annotations

import math
from typing import Any

from results_of import ENCODINGS, Results, rows_side_by_side


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Return a table in Markdown, numbers aligned right, and an empty line."""
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def times(ratio: float) -> str:
    """Return a ratio as text; a loss is never rounded into a draw.

    >>> times(2.345), times(0.96)
    ('2.3x', '0.96x')
    """
    return f"{ratio:.1f}x" if ratio >= 1.05 else f"{ratio:.2f}x"


def rate(figure: float) -> str:
    """Return a rate as text, with the digits that are significant.

    >>> rate(212.4), rate(3.84)
    ('212', '3.8')
    """
    return f"{figure:.0f}" if figure >= 10 else f"{figure:.1f}"


def side_rows(results: list[dict[str, Any]], figures: str, ratios: str) -> list[list[str]]:
    """Return one row per side, one column per result: its figure, and a ratio in brackets if any."""
    rows = []
    for side in results[0][figures]:
        row = [side]
        for result in results:
            ratio = result[ratios].get(side)
            cell = rate(result[figures][side])
            row.append(cell if ratio is None else f"{cell} ({times(ratio)})")
        rows.append(row)
    return rows


# -- files of ids ----------------------------------------------------------------------------------


def means(results: dict[str, dict[str, Any]], what: str) -> str:
    """Return the geometric mean of all ratios and the smallest, for each number of threads."""
    parts = []
    rows = [row for result in results.values() for row in result["rows"]]
    for threads in sorted({row["threads"] for row in rows}):
        ratios = [
            row["times_faster"][what]
            for row in rows
            if row["threads"] == threads and "times_faster" in row
        ]
        if ratios:
            mean = math.prod(ratios) ** (1 / len(ratios))
            parts.append(
                f"{threads} thread{'s' * (threads > 1)}: geometric mean {mean:.2f}x, "
                f"smallest {min(ratios):.2f}x"
            )
    return "; ".join(parts) + "." if parts else ""


def sizes_of(results: dict[str, dict[str, Any]]) -> str:
    """Return how much text of each corpus was measured.

    >>> sizes_of({"prose": {"corpus": {"bytes": 2_000_000}}})
    'prose 2 MB'
    """
    return ", ".join(f"{name} {r['corpus']['bytes'] / 1e6:.0f} MB" for name, r in results.items())


def file_table(results: dict[str, dict[str, Any]], what: str) -> list[str]:
    """Return MB/s from a text file to a file of ids, one row per encoding and number of threads."""
    rows = []
    for cells in rows_side_by_side(results):
        row = [f"{cells[0]['encoding']}, {cells[0]['threads']}"]
        for cell in cells:
            ours = rate(cell["fastprep"][what])
            if "times_faster" in cell:
                theirs = rate(cell["gigatoken"][what])
                row.append(f"{theirs} / {ours} ({times(cell['times_faster'][what])})")
            else:
                row.append(ours)
        rows.append(row)
    return table(["encoding, threads", *results], rows)


def memory_table(results: dict[str, dict[str, Any]]) -> list[str]:
    """Return the peak resident memory of such a process, MiB."""
    rows = []
    for cells in rows_side_by_side(results):
        row = [f"{cells[0]['encoding']}, {cells[0]['threads']}"]
        for cell in cells:
            sides = [side for side in ("gigatoken", "fastprep") if side in cell]
            row.append(" / ".join(f"{cell[side]['mebibytes']:.0f}" for side in sides))
        rows.append(row)
    return table(["encoding, threads", *results], rows)


def file_lines(results: Results) -> list[str]:
    """Return the tables of files of ids: whole process, first pass, later pass, memory."""
    found = results.by_corpus("files")
    if not found:
        return []
    first = next(iter(found.values()))
    sizes = sizes_of(found)
    return [
        "A text file to a file of ids, gigatoken / fastprep, MB/s of whole processes: Python starts, "
        "imports the library, loads the encoding, encodes the file and writes the ids "
        f"({sizes}). {means(found, 'process')}",
        "",
        *file_table(found, "process"),
        f"The work without the start: {first['how']}. {means(found, 'first')}",
        "",
        *file_table(found, "first"),
        f"The same after other text of the kind in the same process. {means(found, 'later')}",
        "",
        *file_table(found, "later"),
        "Peak resident memory of such a process, MiB, gigatoken / fastprep: Python, the encoding "
        "and the work.",
        "",
        *memory_table(found),
    ]


def limit_lines(results: Results) -> list[str]:
    """Return the table of encoding against splitting alone and copying alone."""
    found = results.by_corpus("limits")
    if not found:
        return []
    rows = []
    for cells in rows_side_by_side(found):
        for what in cells[0]["megabytes_per_second"]:
            row = [f"{cells[0]['encoding']}, {what}"]
            for cell in cells:
                ratio = cell["times_faster_than_encoding"].get(what)
                figure = rate(cell["megabytes_per_second"][what])
                row.append(figure if ratio is None else f"{figure} ({times(ratio)})")
            rows.append(row)
    return [
        "Distance from the limits: the same first pass, splitting alone, and a plain copy of the text "
        "in memory; in brackets how many times faster than encoding.",
        "",
        *table(["one thread", *found], rows),
    ]


def growth_lines(results: Results) -> list[str]:
    """Return the table of time per byte against the size of the text."""
    found = results.by_corpus("growth")
    if not found:
        return []
    rows, head = [], [""]
    for name, result in found.items():
        for row in result["rows"]:
            for side in ("gigatoken", "fastprep"):
                if side in row:
                    costs = row[side]["cost_a_byte"][-4:]
                    rows.append(
                        [f"{name}, {row['encoding']}, {side}", *map("{:.2f}".format, costs)]
                    )
    unit = next(iter(found.values()))["rows"][0]["fastprep"]["bytes"][-4] / 1e6
    head += [f"{n} x" for n in (1, 2, 4, 8)]
    return [
        "Time per byte as the amount of new text grows, new processes on one thread, relative to the "
        f"first column ({unit:.1f} MB of the first corpus): 1.00 everywhere is linear, less means that "
        "caches fill.",
        "",
        *table(head, rows),
    ]


# -- peers -----------------------------------------------------------------------------------------


def peer_cell(row: dict[str, Any], side: str) -> str:
    """Return cold / warm, or the reason why nothing was measured."""
    figures = row["megabytes_per_second"].get(side)
    if figures is None:
        return str(row["left_out"].get(side, "not installed"))
    return f"{rate(figures['cold'])} / {rate(figures['warm'])}"


def peer_lines(results: Results) -> list[str]:
    """Return the tables of all tokenizers: a list of documents to ids."""
    found = results.by_corpus("peers")
    if not found:
        return []
    first = next(iter(found.values()))
    versions = ", ".join(
        f"{name} {version}" if version else f"{name} (not installed)"
        for name, version in first["versions"].items()
        if name != "fastprep"
    )
    lines = [
        f"A list of documents to ids ({sizes_of(found)}), all libraries, each by its fastest call: cold "
        "(the first pass of a new process that has encoded one letter) / warm (the same documents "
        f"again). A side whose ids differ from tiktoken's is not timed. {versions}.",
        "",
    ]
    for cells in rows_side_by_side(found):
        threads = cells[0]["threads"]
        rows = [[side, *(peer_cell(cell, side) for cell in cells)] for side in first["returns"]]
        head = f"{cells[0]['encoding']}, {threads} thread{'s' * (threads > 1)}"
        lines += table([head, *found], rows)
    return lines


def encode_lines(results: Results) -> list[str]:
    """Return the tables of documents one by one and in batches, against tiktoken."""
    lines = []
    for encoding in ENCODINGS:
        found = results.by_corpus(f"encode-{encoding}")
        if not found:
            continue
        every = list(found.values())
        rows = side_rows(every, "megabytes_per_second", "times_faster_than_tiktoken")
        if all("batch" in result for result in every):
            threads = every[0]["batch"]["threads"]
            rows += [
                [f"batch on {threads} threads: {side}", *cells]
                for side, *cells in side_rows(
                    [result["batch"] for result in every],
                    "megabytes_per_second",
                    "times_faster_than_tiktoken",
                )
            ]
        lines += table([encoding, *found], rows)
    if not lines:
        return []
    return [
        "Encoding, documents one by one, one thread; in brackets the ratio to tiktoken's speed. Cold: "
        "the first pass of a new encoding over new text. Warm: the same text again.",
        "",
        *lines,
    ]


# -- start, calls, words ---------------------------------------------------------------------------


def load_lines(results: Results) -> list[str]:
    """Return milliseconds until a new process has an encoding, and until it has the first ids."""
    found = results.get("load")
    if not found:
        return []
    rows = []
    for row in found["rows"]:
        theirs, ours = (
            {part: took["median_milliseconds"] for part, took in row[side].items()}
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
    head = ["", "tiktoken", "fastprep", "ratio", "tiktoken, first ids", "fastprep, first ids"]
    return [
        "A new process, milliseconds: until it has an encoding (tiktoken: importing + loading its "
        "cached files; fastprep: both), the ratio to tiktoken's time, and until it has the first ids.",
        "",
        *table(head, rows),
    ]


def call_lines(results: Results) -> list[str]:
    """Return microseconds per call on a prompt, and milliseconds to decode a million ids."""
    found = results.get("calls")
    if not found:
        return []
    rows = []
    for row in found["rows"]:
        cells = [
            f"{took['tiktoken']:.1f} / {took['fastprep']:.2f}"
            for took in row["microseconds"].values()
        ]
        million = row["million_ids_milliseconds"]
        cells.append(" / ".join(f"{million[side]:.0f}" for side in million))
        rows.append([row["encoding"], *cells])
    return [
        "One call on a prompt of 100 bytes, microseconds, tiktoken / fastprep; and a million random ids "
        "to bytes, milliseconds, tiktoken / fastprep from a list / from an array.",
        "",
        *table(["", *found["rows"][0]["microseconds"], "million ids"], rows),
    ]


def word_lines(results: Results) -> list[str]:
    """Return MB/s of the word tokenizers and of the notebook's."""
    lines = []
    for name, found in results.by_corpus("words").items():
        rows = [
            [
                row["what"],
                rate(row["megabytes_per_second"]["notebook"]),
                rate(row["megabytes_per_second"]["fastprep"]),
                times(row["times_faster_than_notebook"]["fastprep"]),
            ]
            for row in found["rows"]
        ]
        lines += [f"Word tokenizers on {name}:", ""]
        lines += table(["", "notebook", "fastprep", ""], rows)
    return lines


def language_lines(results: Results) -> list[str]:
    """Return the ratios over gigatoken by language and encoding, and fastprep's MB/s of CPU."""
    found = results.get("languages")
    if not found:
        return []
    rows = []
    for row in found["rows"]:
        ours = row["megabytes_per_cpu_second"]["fastprep"]
        cells = [f"{rate(ours[name])} ({times(row['times_faster'][name])})" for name in ours]
        rows.append([row["language"], row["encoding"], *cells, "yes" if row["same_ids"] else "NO"])
    for encoding, means in found["times_faster_on_average"].items():
        rows.append(["*geometric mean*", encoding, *(times(mean) for mean in means.values()), ""])
    return [
        "Languages: MB/s of CPU, texts to arrays, in brackets over gigatoken; a new process "
        "encodes half of the texts, the other half, and the first half once more:",
        "",
        *table(["language", "encoding", "first", "unseen", "again", "same ids"], rows),
    ]


def loader_lines(results: Results) -> list[str]:
    """Return Mtok/s of each loader and how many times faster fastprep is, one column per shape."""
    found = results.get("loader")
    if not found:
        return []
    shapes, start = found["shapes"], found["start"]
    head = ["", *(f"L={shape['max_length']}, B={shape['batch_size']}" for shape in shapes)]
    return [
        "Loaders, shuffled batches of int64 inputs and targets, million tokens per second, on "
        f"{found['run']['cpu']}; in brackets how many times faster fastprep is on one thread. The "
        "plain widening copy is the bound: as many tokens in a row, not shuffled.",
        "",
        *table(head, side_rows(shapes, "million_tokens_per_second", "fastprep_one_thread_times")),
        f"The first batch of {start['windows'] / 1e9:.0f} billion windows, shuffled: "
        f"{start['seconds_to_first_batch']:.2f} s and {start['mebibytes_it_took']:.0f} MiB; the "
        f"dataset pickles to {start['pickled_dataset_bytes']} bytes.",
        "",
    ]


def device_lines(results: Results) -> list[str]:
    """Return the table of batches on a GPU, beside copies of one batch again and again."""
    found = results.get("device")
    if not found:
        return []
    rows = [
        [each["dtype"].removeprefix("torch."), *_both(each["million_tokens_per_second"])]
        for each in found["copies"]
    ]
    rows.append(["a step of a small GPT", *_both(found["training"]["million_tokens_per_second"])])
    return [
        f"Batches of {found['batch_size']} windows of {found['max_length']:,} into the memory of one "
        f"{found['device']}, as int64, in million tokens per second, beside the same with one batch "
        f"again and again; {found['run']['cpus']} cores, torch {found['torch']}.",
        "",
        *table(["", "loader", "one batch"], rows),
    ]


def _both(rates: dict[str, float]) -> list[str]:
    return [f"{rate:,.1f}" for rate in rates.values()]


def cold_lines(results: Results) -> list[str]:
    """Return the tables of stores that are read from the disk: speed, waits, and how shuffles mix."""
    found = results.get("cold")
    if not found:
        return []
    shapes, disk = found["shapes"], found["disk"]
    rows = [
        ["the disk, 64 reads in flight"]
        + [
            f"{shape['random_bound']['windows_per_second']:,} "
            f"({shape['random_bound']['bytes_read_per_byte']:.1f} bytes)"
            for shape in shapes
        ]
    ]
    for side in shapes[0]["windows_per_second"]:
        cells = [
            f"{shape['windows_per_second'][side]:,} ({shape['of_the_disk'][side]:.2f}; "
            f"{shape['bytes_read_per_byte'][side]:,.1f} bytes)"
            for shape in shapes
        ]
        rows.append([side, *cells])
    waits = [
        [
            side,
            *(
                " / ".join(
                    f"{one['milliseconds'][side][what]:.1f}" for what in ("p50", "p99", "max")
                )
                for one in found["waits"]
            ),
        ]
        for side in found["waits"][0]["milliseconds"]
    ]
    mixing = [
        [
            name,
            f"{one['stretches_of_a_batch']:.0f}",
            f"{one['median_distance_of_neighbours']:.4f}",
            f"{one['neighbours_within_1000']:.3f}",
        ]
        for name, one in found["mixing"].items()
    ]
    return [
        f"A store of {found['gigabytes']:g} GB that is not in memory, batches of 64, windows per "
        "second; in brackets the part of the disk's speed (64 random reads in flight, or in order) and "
        "the bytes read per byte used. The disk: "
        f"{shapes[0]['in_order_megabytes_per_second']:,} MB/s in order, "
        f"read_ahead_kb {disk['read_ahead_kb']}. Of blocks, it is the speed of reading ahead of use."
        + (
            " The bounds differed by more than 20 per cent within the run."
            if found["disturbed"]
            else ""
        ),
        "",
        *table(["", *(f"L={shape['max_length']}" for shape in shapes)], rows),
        "How long a training loop waits for a batch (B=64, L=1024) of such a store, milliseconds, "
        "median / 99th percentile / longest.",
        "",
        *table(["", *(f"{one['step_milliseconds']} ms per step" for one in found["waits"])], waits),
        "How shuffles mix a billion tokens (L=1024; simulated): the stretches of a million tokens from "
        "which a batch of 64 windows comes, the median distance of neighbours as a part of the corpus, "
        "and the part of neighbours that are within 1,000 windows.",
        "",
        *table(["", "stretches of a batch", "distance", "within 1,000"], mixing),
    ]


def headline(results: Results) -> list[str]:
    """Return the one figure of the README: `prepare` beside the usual loop over tiktoken."""
    ratios = [
        row["megabytes_per_second"]["fastprep, 1 worker"] / row["megabytes_per_second"]["tiktoken"]
        for result in results.by_corpus("prepare").values()
        for row in result["rows"]
    ]
    return [
        "On one thread a corpus becomes a finished store "
        f"**{min(ratios):.0f} to {max(ratios):.0f} times as fast** as with the usual loop over "
        "tiktoken, with the same ids."
    ]


def prepare_lines(results: Results) -> list[str]:
    """Return the tables of whole processes from JSON lines to ids and document ends."""
    found = results.by_corpus("prepare")
    if not found:
        return []
    rows = []
    for cells in rows_side_by_side(found):
        for side in cells[0]["megabytes_per_second"]:
            row = [f"{side}, {cells[0]['encoding']}"]
            for cell in cells:
                ratio = cell["two_workers_are_times_faster_than"].get(side)
                shown = rate(cell["megabytes_per_second"][side])
                row.append(shown if ratio is None else f"{shown} ({times(ratio)})")
            row.append(f"{max(cell['mebibytes'][side] for cell in cells)}")
            rows.append(row)
    first = next(iter(found.values()))
    reading = [
        [kind, *(rate(result["reading_megabytes_per_second"][kind]) for result in found.values())]
        for kind in first["reading_megabytes_per_second"]
    ]
    verify = min(
        row["verify"]["megabytes"] / row["verify"]["seconds"]
        for result in found.values()
        for row in result["rows"]
    )
    return [
        "A file of JSON lines to ids and document ends, whole processes, MB/s of text; in brackets how "
        "many times faster fastprep is with two workers; and the largest process, MiB. Each corpus "
        f"{first['copies']} times over, on a {first['run']['cpus']}-core {first['run']['cpu']}. "
        f"`verify` reads a store at no less than {rate(verify)} MB/s.",
        "",
        *table(["", *found, "MiB"], rows),
        "What one thread reads of each kind of file without encoding it, MB/s of text. Because encoding "
        "is fast, unpacking takes a considerable part of the cores' time.",
        "",
        *table(["", *found], reading),
    ]


# -- training of vocabularies ----------------------------------------------------------------------


def train_lines(results: Results) -> list[str]:
    """Return the table of trainers: CPU seconds and peak memory, beside those of fastprep."""
    found = results.by_corpus("train")
    if not found:
        return []
    first = next(iter(found.values()))
    sides: dict[tuple[str, int], None] = {}
    for result in found.values():
        for row in result["rows"]:
            sides[row["trainer"], row["threads"]] = None
    rows = []
    for name, threads in sides:
        cells = [name, str(threads)]
        for result in found.values():
            cells.append(train_cell(result["rows"], name, threads))
        rows.append(cells)
    sizes = ", ".join(f"{name} {r['corpus']['bytes'] / 1e6:.0f} MB" for name, r in found.items())
    return [
        f"{first['vocab_size']:,} tokens, GPT-2's pattern; {sizes}. CPU seconds of the process and its "
        "peak memory in MiB; in brackets how many times those of fastprep with the same contract they "
        "are. Merges are compared first: where they differ, after how many is said.",
        "",
        *table(["trainer", "threads", *found], rows),
    ]


def train_cell(rows: list[dict[str, Any]], name: str, threads: int) -> str:
    """Return what one trainer took on one corpus."""
    row = next((r for r in rows if (r["trainer"], r["threads"]) == (name, threads)), None)
    if row is None:
        return ""
    cell = f"{row['cpu']:.2f} s, {row['peak_mib']:.0f} MiB"
    if not name.startswith("fastprep") and "cpu_of_fastprep" in row:
        cell += f" ({times(row['cpu_of_fastprep'])}, {times(row['peak_mib_of_fastprep'])})"
        ours = next(
            r for r in rows if r["trainer"] == of_contract(name) and r["threads"] == threads
        )
        if row["same_merges"] < min(row["merges"], ours["merges"]):
            cell += f"; others from merge {row['same_merges'] + 1:,} on"
    return cell


def of_contract(name: str) -> str:
    """Return the name of fastprep's row with the contract of a trainer.

    >>> of_contract("gigabpe, lines")
    'fastprep, lines'
    """
    return f"fastprep, {name.partition(', ')[2]}"
