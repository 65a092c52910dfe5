"""Write tables and pictures of figures from the JSON of a run.

    python benchmarks/report.py                  from benchmarks/results into docs/ and README
    python benchmarks/report.py --results bench  from bench/ into bench/figures.md and bench/pictures

Nothing in them is typed by hand: a figure that was not measured does not appear, and every one that
was measured does, whichever side it favours.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pictures import draw_pictures
from results_of import Results
from scaling import scaling_lines, thread_lines
from tables import (
    call_lines,
    cold_lines,
    device_lines,
    encode_lines,
    file_lines,
    growth_lines,
    headline,
    language_lines,
    limit_lines,
    load_lines,
    loader_lines,
    peer_lines,
    prepare_lines,
    train_lines,
    word_lines,
)
from worst import worst_lines

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"
SCALING_BEGIN, SCALING_END = "<!-- scaling:begin -->", "<!-- scaling:end -->"
THREADS_BEGIN, THREADS_END = "<!-- threads:begin -->", "<!-- threads:end -->"
FIGURE_BEGIN, FIGURE_END = "<!-- figure:begin -->", "<!-- figure:end -->"
WORST_BEGIN, WORST_END = "<!-- worst:begin -->", "<!-- worst:end -->"


def lines_of(results: Results, pictures: dict[str, str], folder: str, where: str) -> list[str]:
    """Return the page of figures: all that was measured, in the order of the work."""
    run = results.run()

    def picture(name: str) -> list[str]:
        return [f"![{pictures[name]}]({folder}/{name})", ""] if name in pictures else []

    return [
        f"MB/s of text, medians on a {run.get('cpus')}-core {run.get('cpu')}, Python "
        f"{run.get('python')}, one thread unless noted; sides interleaved, ids compared first. "
        f"The JSON, with versions and commits, is in {where}. A ratio below 1.00 is a loss.",
        "",
        *picture("files.svg"),
        *file_lines(results),
        *picture("growth.svg"),
        *growth_lines(results),
        *limit_lines(results),
        *picture("peers.svg"),
        *peer_lines(results),
        *prepare_lines(results),
        *language_lines(results),
        *encode_lines(results),
        *load_lines(results),
        *call_lines(results),
        *word_lines(results),
        *train_lines(results),
        *loader_lines(results),
        *cold_lines(results),
        *device_lines(results),
    ]


def replace(path: Path, begin: str, end: str, lines: list[str]) -> None:
    """Replace the lines between two marks of a file."""
    before, rest = path.read_text(encoding="utf-8").split(begin)
    text = before + "\n".join([begin, *lines, end]) + rest.split(end)[1]
    path.write_text(text, encoding="utf-8")


def drawn(results: Results, directory: Path) -> dict[str, str]:
    """Draw the pictures and return their captions; none, with a note on stderr, without matplotlib."""
    try:
        return draw_pictures(results, directory)
    except ModuleNotFoundError as error:
        print(f"no pictures: {error}; pip install 'fastprep[report]'", file=sys.stderr)
        return {}


def main() -> None:
    """Write the page of a run, or the generated parts of README and of three pages in docs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, help="write a page there, not in docs/")
    arguments = parser.parse_args()
    if arguments.results:
        results = Results(arguments.results)
        pictures = drawn(results, arguments.results / "pictures")
        page = arguments.results / "figures.md"
        lines = lines_of(results, pictures, "pictures", "this directory")
        page.write_text("\n".join(["# Figures", *lines]), encoding="utf-8")
        return
    results = Results(ROOT / "benchmarks" / "results")
    pictures = drawn(results, ROOT / "docs" / "pictures")
    lines = lines_of(results, pictures, "pictures", "`benchmarks/results`")
    while not lines[-1]:
        lines.pop()
    replace(ROOT / "docs" / "figures.md", BEGIN, END, lines)
    replace(ROOT / "README.md", FIGURE_BEGIN, FIGURE_END, headline(results))
    scaling = ROOT / "docs" / "scaling.md"
    replace(scaling, SCALING_BEGIN, SCALING_END, scaling_lines(results))
    replace(scaling, THREADS_BEGIN, THREADS_END, thread_lines(results))
    worst = worst_lines(ROOT / "tests" / "results" / "growth.jsonl")
    replace(ROOT / "docs" / "performance.md", WORST_BEGIN, WORST_END, worst)


if __name__ == "__main__":
    main()
