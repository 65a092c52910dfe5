"""Plots as inline SVG in the colours of the page, with text as text.

matplotlib draws them, an extra: ``pip install 'fastprep[report]'``.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastprep.errors import FastprepError

# Placeholder colours, replaced by those of the page, so that a plot is legible in dark and light mode.
_COLOURS = {"#010203": "var(--ink)", "#040506": "var(--faint)", "#070809": "var(--accent)"}
_INK, _FAINT, _ACCENT = _COLOURS


def svg_style(ink: str, faint: str) -> Any:
    """Return matplotlib settings for SVG whose text stays text, in the colours of ink and grid."""
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "fastprep",
        "font.family": "sans-serif",
        "font.size": 10.5,
        "text.color": ink,
        "axes.edgecolor": faint,
        "axes.labelcolor": ink,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": faint,
        "grid.linewidth": 0.5,
        "xtick.color": ink,
        "ytick.color": ink,
    }


def save_svg(figure: Any, target: Path | io.StringIO) -> None:
    """Write a figure as SVG without a background or metadata: equal figures give equal bytes."""
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(target, format="svg", metadata=metadata, transparent=True)


def document_lengths(lengths: npt.NDArray[np.int64], median: int) -> str:
    """Plot a histogram of document lengths, four bars per doubling, as an SVG element.

    ``lengths[n]`` is the number of documents of n ids. Raises FastprepError if matplotlib is not
    installed.
    """
    sizes = np.flatnonzero(lengths)
    documents = lengths[sizes]
    top = int(sizes[-1]) + 1
    # Below 8 ids a bar is one length; from there on bars are equally wide on the logarithmic axis.
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
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.grid(visible=False, axis="x")

    return _svg("lengths", "Histogram of document lengths", draw)


def token_frequencies(counts: npt.NDArray[np.int64]) -> str:
    """Plot occurrences against rank, both logarithmic, with the slope of Zipf's law, as an SVG element.

    ``counts[i]`` is the number of occurrences of id i. Raises FastprepError if matplotlib is not
    installed.
    """
    ranked = np.sort(counts[counts > 0])[::-1]
    # The eye cannot distinguish more than some hundred ranks.
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


def token_lengths(lengths: npt.NDArray[np.int64]) -> str:
    """Plot how many tokens have each length in bytes, as an SVG element.

    Raises FastprepError if matplotlib is not installed.
    """
    longest = int(lengths.max())
    sizes, tokens = np.unique(lengths, return_counts=True)

    def draw(axes: Any) -> None:
        axes.bar(sizes, tokens, 0.9, color=_ACCENT, linewidth=0, alpha=0.85)
        # A few long tokens would leave no room for the others.
        axes.set_xlim(1, min(longest, 40) + 1)
        axes.set_ylim(0, tokens.max() * 1.12)
        axes.set_xlabel("bytes of a token")
        axes.set_ylabel("tokens")
        axes.grid(visible=False, axis="x")

    return _svg("token-lengths", "Lengths of tokens", draw)


def merge_counts(counts: npt.NDArray[np.int64]) -> str:
    """Plot how often the pair of each merge occurred, both axes logarithmic, as an SVG element.

    ``counts[i]`` is of merge i. Raises FastprepError if matplotlib is not installed.
    """
    merges = np.unique(np.round(np.geomspace(1, len(counts), 400)).astype(np.int64))

    def draw(axes: Any) -> None:
        axes.plot(merges, counts[merges - 1], color=_ACCENT, linewidth=2, solid_capstyle="round")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(1, max(len(counts), 2))
        axes.set_ylim(0.7, max(float(counts[0]), 2) * 2)
        axes.set_xlabel("merge")
        axes.set_ylabel("occurrences of the pair")

    return _svg("merge-counts", "Counts of the merged pairs", draw)


def _svg(name: str, title: str, draw: Callable[[Any], None]) -> str:
    try:
        import matplotlib
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter
    except ImportError:
        raise FastprepError(
            "the report's plots need matplotlib, which is not installed; run "
            "pip install 'fastprep[report]'"
        ) from None
    with matplotlib.rc_context(svg_style(_INK, _FAINT)):
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
        save_svg(figure, content)
    return _inline(content.getvalue(), name, title)


def _short(value: float, _: object = None) -> str:
    """Format an axis value with a suffix: 12k, 3M.

    >>> [_short(value) for value in (1, 1500, 2e6, 0)]
    ['1', '1.5k', '2M', '0']
    """
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _inline(svg: str, name: str, title: str) -> str:
    """Return the SVG element alone, with ids unique to the plot, in the colours of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg).replace("url(#", f"url(#{name}-")
    # The page sets width, height and font families.
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', _opening(title), svg, count=1)
    svg = re.sub(r"font-family: [^;]*; ", "", svg)
    for placeholder, colour in _COLOURS.items():
        svg = svg.replace(placeholder, colour)
    return svg.strip()


def _opening(title: str) -> str:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        rf'viewBox="\1" role="img" aria-label="{title}">'
    )
