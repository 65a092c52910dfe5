"""Pictures of the results: SVG without a background, legible on light and dark pages.

matplotlib draws them (``pip install 'fastprep[report]'``); text stays text.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from results_of import Results, rows_side_by_side
from tables import rate

from fastprep.report.plots import save_svg, svg_style

INK, FAINT = "#7d8590", "#7d859055"  # mid-grey: contrast enough on white and on black
#: The same hue for a library in every picture.
COLOURS = {
    "fastprep": "#2f81f7",
    "gigatoken": "#e07b39",
    "quicktok": "#3da35d",
    "tokie": "#a371f7",
    "tiktoken": "#c9a227",
    "tokenizers": "#d2547f",
}
STYLE: Any = {
    **svg_style(INK, FAINT),
    "font.size": 10,
    "axes.edgecolor": INK,
    "axes.titlesize": 10,
    "axes.grid.axis": "y",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}
MARKERS = {"r50k_base": "o", "cl100k_base": "s", "o200k_base": "^"}
LINES = {"r50k_base": "-", "cl100k_base": "--", "o200k_base": ":"}

Bars = dict[
    str, list[tuple[float, float] | None]
]  # from side to first and later MB/s of each corpus


def colour(side: str) -> str:
    """Return a library's colour, paler for its second side."""
    package, _, way = side.partition(",")
    return COLOURS[package] + ("99" if way.strip() in ("lists", "1 thread") else "")


def draw_bars(axes: Any, groups: list[str], bars: Bars) -> None:
    """Draw grouped bars for each corpus: bars for first passes, lines for later ones, with figures."""
    step = 0.86 / len(bars)
    width = step * 0.9
    most = max(max(pair) for pairs in bars.values() for pair in pairs if pair)
    for number, (side, pairs) in enumerate(bars.items()):
        label: str | None = side
        for group, pair in enumerate(pairs):
            if pair is None:
                continue
            left = group - 0.43 + number * step
            hue = colour(side)
            axes.bar(left, pair[0], width, align="edge", color=hue, label=label, linewidth=0)
            # The line of a slower later pass is inside its bar.
            line = hue[:7] if pair[1] >= pair[0] else "#ffffff"
            axes.hlines(pair[1], left, left + width, color=line, linewidth=1.6)
            label = None
            written = {max(pair): pair[0]}  # too close for two figures
            if pair[1] - pair[0] > most * 0.1:
                written = {pair[0]: pair[0], pair[1]: pair[1]}
            for height, figure in written.items():
                place = (left + width / 2, height + most * 0.02)
                axes.text(*place, rate(figure), ha="center", va="bottom", fontsize=7)
    axes.set_xticks(range(len(groups)), groups)
    axes.tick_params(axis="x", length=0)
    axes.set_ylim(0, most * 1.12)
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.set_ylabel("MB/s")


def draw_panels(panels: list[tuple[str, list[str], Bars]], path: Path) -> None:
    """Draw one panel per encoding, with one legend above."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.1 * len(panels) + 0.6), layout="constrained")
    handles: dict[str, Any] = {}
    for axes, (title, groups, bars) in zip(
        figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True
    ):
        draw_bars(axes, groups, bars)
        axes.set_title(title, loc="left")
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    place: dict[str, Any] = {"loc": "outside upper center", "ncols": 4, "fontsize": 8.5}
    figure.legend(handles.values(), handles.keys(), **place)
    save_svg(figure, path)


def draw_files(results: Results, path: Path) -> bool:
    """Draw the rates from a text file to a file of ids."""
    found = results.by_corpus("files")
    if not found:
        return False
    panels: dict[str, Bars] = {}
    for cells in rows_side_by_side(found):
        bars = panels.setdefault(cells[0]["encoding"], {})
        threads = cells[0]["threads"]
        for side in ("gigatoken", "fastprep"):
            if all(side in cell for cell in cells):
                name = f"{side}, {threads} thread{'s' * (threads > 1)}"
                bars[name] = [(cell[side]["first"], cell[side]["later"]) for cell in cells]
    draw_panels([(name, list(found), bars) for name, bars in panels.items()], path)
    return True


def draw_peers(results: Results, path: Path) -> bool:
    """Draw all libraries on one thread."""
    found = results.by_corpus("peers")
    panels = []
    for cells in rows_side_by_side(found) if found else []:
        if cells[0]["threads"] != 1:
            continue
        bars: Bars = {}
        for side in next(iter(found.values()))["returns"]:
            figures = [cell["megabytes_per_second"].get(side) for cell in cells]
            if any(figures):
                bars[side] = [(one["cold"], one["warm"]) if one else None for one in figures]
        panels.append((cells[0]["encoding"], list(found), bars))
    if panels:
        draw_panels(panels, path)
    return bool(panels)


def draw_growth(results: Results, path: Path) -> bool:
    """Draw throughput against size, one panel per corpus."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    found = results.by_corpus("growth")
    if not found:
        return False
    figure = Figure(figsize=(9, 3.1), layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axes, (name, result) in zip(panels, found.items(), strict=True):
        for row in result["rows"]:
            for side in ("gigatoken", "fastprep"):
                if side not in row:
                    continue
                axes.plot(
                    [size / 1e6 for size in row[side]["bytes"]],
                    row[side]["megabytes_per_second"],
                    LINES.get(row["encoding"], "-"),
                    marker=MARKERS.get(row["encoding"], "o"),
                    markersize=3.5,
                    linewidth=1.5,
                    color=COLOURS[side],
                    label=f"{side}, {row['encoding']}",
                )
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:.2g}"))
        axes.set_title(name, loc="left")
        axes.set_xlabel("MB of new text")
        axes.set_ylim(bottom=0)
    panels[0].set_ylabel("MB/s")
    handles, labels = panels[0].get_legend_handles_labels()
    columns = max(len(result["rows"]) for result in found.values())
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, fontsize=8.5)
    save_svg(figure, path)
    return True


#: From file name to its drawing function and caption.
PICTURES: dict[str, tuple[Callable[[Results, Path], bool], str]] = {
    "files.svg": (
        draw_files,
        "Bars: a text file to a file of ids, first pass, gigatoken and fastprep; the line of each is a "
        "later pass over other text of the kind.",
    ),
    "peers.svg": (
        draw_peers,
        "Bars: a list of documents to ids, one thread, all libraries, first pass; the line is the same "
        "documents again.",
    ),
    "growth.svg": (
        draw_growth,
        "Lines: throughput against the size of the text, new processes on one thread.",
    ),
}


def draw_pictures(results: Results, directory: Path) -> dict[str, str]:
    """Draw all pictures of the results; return their file names and captions.

    Raises ModuleNotFoundError if matplotlib is not installed.
    """
    import matplotlib

    directory.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        return {
            name: caption
            for name, (draw, caption) in PICTURES.items()
            if draw(results, directory / name)
        }
