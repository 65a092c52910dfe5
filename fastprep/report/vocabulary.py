"""The page about a trained vocabulary: its size on held-out text, its tokens and its merges."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import numpy as np

from fastprep.encoding.token_html import visible
from fastprep.report import plots
from fastprep.report.elements import CLOSING, bar, cards, opening, table, thousands
from fastprep.trainer.training import TrainedEncoding

# Limits of what the page lists.
_MAX_LONGEST = 60
_MAX_MERGES = 60


def page_of_vocabulary(encoding: TrainedEncoding) -> Iterator[str]:
    """Yield the parts of the page. Raises FastprepError if matplotlib is not installed."""
    yield opening(escape(encoding.name), visible(encoding.name))
    yield "<p>A vocabulary that fastprep trained.</p>\n"
    yield _cards(encoding)
    yield _held_out(encoding)
    yield _plots(encoding)
    yield _longest(encoding)
    yield _merges(encoding)
    yield CLOSING


def _cards(encoding: TrainedEncoding) -> str:
    report = encoding.report
    facts = [
        ("ids", thousands(report.vocab_size)),
        ("merges", thousands(report.merges)),
        ("count of the last merge", thousands(report.last_count)),
        ("distinct pieces", thousands(report.pieces)),
        ("unused tokens", thousands(report.unused)),
    ]
    if report.held_out is not None:
        rate = report.held_out.bytes_per_token[encoding.name]
        facts.append(("bytes per token, held out", f"{rate:.3f}"))
    if report.ended_early:
        facts.append(("asked for", thousands(report.asked)))
    return cards(facts)


def _held_out(encoding: TrainedEncoding) -> str:
    found = encoding.report.held_out
    if found is None:
        return ""
    rates = found.bytes_per_token
    widest = max(rates.values())
    rows = [
        f'<tr><td><code>{visible(name)}</code></td><td class="n">{rate:.3f}</td>'
        f'<td class="n">{thousands(found.tokens[name])}</td>{bar(rate / widest)}</tr>\n'
        for name, rate in rates.items()
    ]
    head = ("vocabulary", "bytes per token", "tokens", "")
    return (
        f"<h2>Held-out text</h2>\n<p>{thousands(found.documents)} documents of "
        f"{thousands(found.bytes)} bytes that were not trained on. More bytes per token are fewer "
        f"tokens for the same text.</p>\n{table(head, rows, numbers={1, 2})}"
    )


def _plots(encoding: TrainedEncoding) -> str:
    lengths = np.array([len(left + right) for left, right in encoding.merges], np.int64)
    counts = np.array(encoding.merge_counts, np.int64)
    if not len(counts):
        return ""
    unused = encoding.report.unused
    return (
        '<h2>Shape</h2>\n<div class="two">\n'
        "<figure><figcaption>Lengths of tokens</figcaption>\n"
        f"{plots.token_lengths(lengths)}\n"
        f"<p>Half of all merged tokens have at most {int(np.median(lengths))} bytes; the longest has "
        f"{lengths.max():,}.</p></figure>\n"
        "<figure><figcaption>Counts of the merged pairs</figcaption>\n"
        f"{plots.merge_counts(counts)}\n"
        f"<p>The last pair occurs {counts[-1]:,} times. {unused:,} merged tokens occur in longer tokens "
        "only.</p></figure>\n</div>\n"
    )


def _longest(encoding: TrainedEncoding) -> str:
    tokens = [left + right for left, right in encoding.merges]
    tokens.sort(key=len, reverse=True)
    chips = "".join(
        f'<li><b data-t="{len(token)}">{visible(token)}</b></li>\n'
        for token in tokens[:_MAX_LONGEST]
    )
    said = "With their bytes; long ones are often boilerplate that repeats."
    return (
        f"<h2>Longest tokens</h2>\n<p>{said}</p>\n"
        f'<div class="tokens tall"><ul class="chips">\n{chips}</ul></div>\n'
    )


def _merges(encoding: TrainedEncoding) -> str:
    counts = encoding.merge_counts
    merges = encoding.merges[len(encoding.merges) - len(counts) :]
    first = _MAX_MERGES // 2
    shown = [*range(min(first, len(merges))), *range(max(first, len(merges) - first), len(merges))]
    rows = [
        f'<tr><td class="n">{at + 1:,}</td><td><b>{visible(merges[at][0])}</b></td>'
        f'<td><b>{visible(merges[at][1])}</b></td><td class="n">{counts[at]:,}</td></tr>\n'
        for at in shown
    ]
    head = ("merge", "left", "right", "occurrences")
    return f"<h2>First and last merges</h2>\n{table(head, rows, numbers={0, 3}, tall=True)}"
