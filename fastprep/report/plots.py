"""Plots as SVG that stands inside a page: its colours are the page's, its text is text.

They are drawn by matplotlib, an extra: ``pip install 'fastprep[report]'``.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastprep.errors import FastprepError

# Colours to draw with, each replaced by one of the page's: so a plot is legible in dark and light.
_COLOURS = {"#010203": "var(--ink)", "#040506": "var(--faint)", "#070809": "var(--accent)"}
_INK, _FAINT, _ACCENT = _COLOURS
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fastprep",
    "font.family": "sans-serif",
    "font.size": 10.5,
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _FAINT,
    "grid.linewidth": 0.5,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


def document_lengths(lengths: npt.NDArray[np.int64], median: int) -> str:
    """A histogram of document lengths, four bars for each doubling; ``lengths[n]`` have n ids.

    Raises
    ------
    FastprepError
        where matplotlib is not installed.
    """
    sizes = np.flatnonzero(lengths)
    documents = lengths[sizes]
    top = int(sizes[-1]) + 1
    # Below 8 ids a bar is one length; then they are even on the logarithmic axis.
    edges = np.unique(np.round(2 ** np.arange(0, np.log2(top) + 0.25, 0.25)).astype(np.int64))
    edges = np.unique(np.concatenate([edges, [top + 1]]))
    bars, _ = np.histogram(sizes, edges, weights=documents)

    def draw(axes: Any) -> None:
        axes.bar(
            edges[:-1], bars, np.diff(edges), align="edge", color=_ACCENT, linewidth=0, alpha=0.85
        )
        axes.axvline(median, color=_INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            f"median {median:,}",
            (median, 1),
            (6, -2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            va="top",
        )
        axes.set_xscale("log")
        axes.set_xlim(max(int(sizes[0]), 1), max(top + 1, 10))
        axes.set_ylim(0, max(bars.max(), 1) * 1.12)
        axes.set_xlabel("tokens in a document")
        axes.set_ylabel("documents")
        axes.grid(visible=False, axis="x")

    return _svg("lengths", "Histogram of document lengths", draw)


def token_frequencies(counts: npt.NDArray[np.int64]) -> str:
    """Occurrences against rank, both logarithmic, beside a line as steep as Zipf's law.

    ``counts[i]`` says how often id i occurs.

    Raises
    ------
    FastprepError
        where matplotlib is not installed.
    """
    ranked = np.sort(counts[counts > 0])[::-1]
    # Some hundred ranks are all that the eye can tell apart.
    ranks = np.unique(np.round(np.geomspace(1, len(ranked), 400)).astype(np.int64))

    def draw(axes: Any) -> None:
        axes.plot(ranks, ranked[ranks - 1], color=_ACCENT, linewidth=2, solid_capstyle="round")
        middle = len(ranked) ** 0.5
        height = float(ranked[round(middle) - 1]) * middle
        axes.plot(
            [1, len(ranked)],
            [height, height / len(ranked)],
            color=_INK,
            linewidth=1,
            linestyle=(0, (4, 3)),
            alpha=0.6,
        )
        axes.annotate(
            "1 / rank", (1, height), (6, 4), textcoords="offset points", color=_INK, alpha=0.8
        )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(1, max(len(ranked), 2))
        axes.set_ylim(0.7, max(float(ranked[0]), height, 2) * 2)
        axes.set_xlabel("rank of the token")
        axes.set_ylabel("occurrences")

    return _svg("frequencies", "Token frequencies by rank", draw)


def _svg(name: str, title: str, draw: Callable[[Any], None]) -> str:
    try:
        import matplotlib
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter
    except ImportError:
        raise FastprepError(
            "matplotlib is not installed, and it draws the report's plots; run "
            "pip install 'fastprep[report]'"
        ) from None
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 3.5), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        draw(axes)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(_short))
            axis.set_tick_params(which="both", color=_FAINT, labelcolor=_INK)
        axes.minorticks_off()
        content = io.StringIO()
        facts = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(content, format="svg", metadata=facts, transparent=True)
    return _for_a_page(content.getvalue(), name, title)


def _short(value: float, _: object = None) -> str:
    """A tick: 12k, 3M.

    >>> [_short(value) for value in (1, 1500, 2e6, 0)]
    ['1', '1.5k', '2M', '0']
    """
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _for_a_page(svg: str, name: str, title: str) -> str:
    """The element alone, its ids unlike those of other plots, its colours the page's."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg).replace("url(#", f"url(#{name}-")
    # width and height are the page's business; so are the families of fonts.
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', _opening(title), svg, count=1)
    svg = re.sub(r"font-family: [^;]*; ", "", svg)
    for drawn, wanted in _COLOURS.items():
        svg = svg.replace(drawn, wanted)
    return svg.strip()


def _opening(title: str) -> str:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        rf'viewBox="\1" role="img" aria-label="{title}">'
    )
