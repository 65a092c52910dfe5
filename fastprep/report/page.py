"""write_report: one HTML page about a store, to inspect it before training on it, or a vocabulary.

The page is self-contained: no script, no font, no other file, nothing from the network, and a content
security policy that forbids all of these, since the documents that it shows are untrusted.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from html import escape
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastprep.checks.oracles import check_made_with
from fastprep.encoding.encoding import Encoding
from fastprep.encoding.token_html import spans, visible
from fastprep.errors import InvalidInput
from fastprep.report import plots
from fastprep.report.counts import LONG, StoreCounts, count
from fastprep.report.elements import CLOSING, binary_size, cards, code, opening, table, thousands
from fastprep.report.vocabulary import page_of_vocabulary
from fastprep.store.encodings import EncodingLike, StoreEncoding, as_encoding, encoding_of_store
from fastprep.store.manifest import ShardRecord, bytes_of
from fastprep.store.reader import TokenStore
from fastprep.system.arguments import local_path, whole_number
from fastprep.system.atomic import replacing
from fastprep.trainer.training import TrainedEncoding

# Limits of what the page lists; it states the full number of each.
_MAX_FREQUENT = 60
_MAX_UNUSED = 400
_MAX_SHARDS = 2000
_MAX_SAMPLE_TOKENS = 400
_MAX_INPUTS = 2


def write_report(
    store: TokenStore | TrainedEncoding | str | PathLike[str],
    output: str | PathLike[str],
    *,
    encoding: EncodingLike | None = None,
    samples: int = 6,
) -> Path:
    """Write an HTML page that shows what a store holds, or what training found.

    The page has totals, encoding and settings, the lengths of documents, the frequency of tokens,
    the tokens that never occur, documents with their tokens coloured, and the shards. Every block
    of the store is read and checked against its checksum; memory does not grow with the store.

    Parameters
    ----------
    store
        a store or its path; or an encoding that :func:`fastprep.train_bpe` made, whose page has its
        size on held-out text beside published vocabularies, its tokens and merges.
    output
        the HTML file to write; an existing file is replaced.
    encoding
        the encoding that the store was made with, if it is not a published one.
    samples
        number of documents to show, drawn with a fixed seed.

    Returns
    -------
    Path
        `output`.

    Raises
    ------
    InvalidInput
        if the encoding is needed and not given, if another one is given, or if the store has no
        tokens.
    InvalidStore
        for a damaged block.
    FastprepError
        if matplotlib is not installed.

    Examples
    --------
    >>> from fastprep import prepare
    >>> _ = (tmp / "two.txt").write_text("One.<|endoftext|>Two.")
    >>> store = prepare(tmp / "two.txt", tmp / "store", progress=False)
    >>> path = write_report(store, tmp / "store.html")
    >>> path.read_text(encoding="utf-8")[:15]
    '<!DOCTYPE html>'
    """
    path = local_path(output, "the report")
    if not path.parent.is_dir():
        raise InvalidInput(f"{path}: there is no directory {path.parent}; create it first")
    if path.is_dir():
        raise InvalidInput(f"{path}: a directory; name the file to write")
    samples = whole_number(samples, "samples", 0)
    if isinstance(store, Encoding):
        if not isinstance(store, TrainedEncoding):
            raise InvalidInput(f"{store!r} was not trained here, so there is no report about it")
        return _write(path, page_of_vocabulary(store))
    opened = store if isinstance(store, TokenStore) else TokenStore(store)
    made_with = encoding_of_store(opened) if encoding is None else as_encoding(encoding)
    check_made_with(opened, made_with)
    if not opened.num_tokens:
        raise InvalidInput(f"{opened.path}: the store holds no tokens, so there is nothing to show")
    return _write(path, _page(opened, _Vocabulary.of(opened, made_with), count(opened), samples))


def _write(path: Path, parts: Iterable[str]) -> Path:
    page = "".join(parts)
    with replacing(path) as file:
        # The only text that UTF-8 cannot encode is a lone surrogate in a path.
        file.write(page.encode("utf-8", "replace"))
    return path


class _Vocabulary(NamedTuple):
    """The bytes of each id, None for an unassigned one; and the ids of special tokens."""

    tokens: list[bytes | None]
    special: frozenset[int]

    @classmethod
    def of(cls, store: TokenStore, encoding: StoreEncoding) -> _Vocabulary:
        tokens: list[bytes | None] = []
        for number in range(encoding.n_vocab):
            try:
                tokens.append(encoding.decode_single_token_bytes(number))
            except KeyError:
                tokens.append(None)
        return cls(tokens, frozenset(store.manifest.encoding.special_tokens.values()))

    def bytes_of(self, number: int) -> bytes:
        """Return the bytes of an id, or the id in brackets if it is unassigned."""
        found = self.tokens[number]
        return f"[{number}]".encode() if found is None else found


def _page(
    store: TokenStore, vocabulary: _Vocabulary, counted: StoreCounts, samples: int
) -> Iterable[str]:
    name = visible(store.path.name or str(store.path))
    title = escape("".join(c if c.isprintable() else "?" for c in store.path.name))
    yield opening(title or "token store", name)
    yield "<p>A fastprep token store; all blocks match their checksums.</p>\n"
    yield _cards(store, vocabulary, counted)
    yield _plots(counted)
    yield _samples(store, vocabulary, samples)
    yield _frequent(store, vocabulary, counted)
    yield _unused(vocabulary, counted)
    yield _settings(store)
    yield _shards(store)
    yield CLOSING


# -- parts of the page -----------------------------------------------------------------------------


def _cards(store: TokenStore, vocabulary: _Vocabulary, counted: StoreCounts) -> str:
    known = [number for number, token in enumerate(vocabulary.tokens) if token is not None]
    sizes = np.array([len(vocabulary.tokens[number] or b"") for number in known], np.int64)
    ordinary = np.array([number not in vocabulary.special for number in known])
    occurring = counted.ids[known]
    text_bytes = int(occurring[ordinary] @ sizes[ordinary])
    text_tokens = int(occurring[ordinary].sum())
    used = int(np.count_nonzero(occurring))
    inputs = {span.path: span.size for shard in store.manifest.shards for span in shard.inputs}
    on_disk = bytes_of(store.head, store.num_tokens, store.num_documents)
    facts = [
        ("tokens", thousands(store.num_tokens)),
        ("documents", thousands(store.num_documents)),
        ("tokens per document", f"{store.num_tokens / max(store.num_documents, 1):,.1f}"),
        ("bytes per token", f"{text_bytes / text_tokens:.3f}" if text_tokens else "none"),
        ("vocabulary used", f"{100 * used / len(known):.1f}%"),
        ("on disk", binary_size(on_disk)),
        ("inputs", binary_size(sum(inputs.values()))),
        ("shards", thousands(len(store.manifest.shards))),
    ]
    return cards(facts)


def _plots(counted: StoreCounts) -> str:
    median, high = counted.quantile(0.5), counted.quantile(0.99)
    shown = f"over {LONG:,}" if high >= LONG else f"{high:,}"
    return (
        '<h2>Shape</h2>\n<div class="two">\n'
        "<figure><figcaption>Document lengths</figcaption>\n"
        f"{plots.document_lengths(counted.lengths, median)}\n"
        f"<p>Half of all documents have at most {median:,} tokens, 99 of 100 at most {shown}; the "
        f"longest has {counted.longest:,}.</p></figure>\n"
        "<figure><figcaption>Token frequencies</figcaption>\n"
        f"{plots.token_frequencies(counted.ids)}\n"
        f"<p>{np.count_nonzero(counted.ids):,} different tokens occur, "
        f"{np.count_nonzero(counted.ids == 1):,} of them once.</p></figure>\n</div>\n"
    )


def _samples(store: TokenStore, vocabulary: _Vocabulary, samples: int) -> str:
    number = min(samples, store.num_documents)
    if not number:
        return ""
    parts = [
        "<h2>Documents</h2>\n<p>A random sample with a fixed seed; each colour is a token, hover over "
        "one to see its id. Tokens that share a character are shown as one.</p>\n"
    ]
    separator = " " if store.manifest.encoding.kind == "words" else ""
    for document in sorted(random.Random(0).sample(range(store.num_documents), number)):
        ids = store.document(document)
        shown = spans(
            ids[:_MAX_SAMPLE_TOKENS].tolist(), vocabulary.bytes_of, vocabulary.special, separator
        )
        rest = len(ids) - _MAX_SAMPLE_TOKENS
        more = f" <i>and {rest:,} more</i>" if rest > 0 else ""
        parts.append(
            f'<article class="tokens"><header>document {document:,} · {len(ids):,} tokens</header>'
            f"<div>{shown}{more}</div></article>\n"
        )
    return "".join(parts)


def _frequent(store: TokenStore, vocabulary: _Vocabulary, counted: StoreCounts) -> str:
    order = np.argsort(-counted.ids, kind="stable")[:_MAX_FREQUENT]
    order = order[counted.ids[order] > 0]
    rows, cumulative = [], 0
    largest = int(counted.ids[order[0]])
    for rank, number in enumerate(order.tolist(), 1):
        times = int(counted.ids[number])
        cumulative += times
        rows.append(
            f'<tr><td class="n">{rank}</td><td class="n">{number}</td>'
            f"<td><b>{visible(vocabulary.bytes_of(number))}</b></td>"
            f'<td class="n">{times:,}</td><td class="n">{100 * times / store.num_tokens:.2f}%</td>'
            f'<td class="n">{100 * cumulative / store.num_tokens:.1f}%</td>'
            f'<td class="bar"><svg viewBox="0 0 100 1" preserveAspectRatio="none">'
            f'<rect width="{100 * times / largest:.2f}" height="1"/></svg></td></tr>\n'
        )
    head = ("rank", "id", "token", "occurrences", "share", "cumulative", "")
    return f"<h2>Most frequent tokens</h2>\n{table(head, rows, numbers={0, 1, 3, 4, 5}, tall=True)}"


def _unused(vocabulary: _Vocabulary, counted: StoreCounts) -> str:
    unused = [
        number
        for number in np.flatnonzero(counted.ids == 0).tolist()
        if vocabulary.tokens[number] is not None
    ]
    head = "<h2>Unused tokens</h2>\n"
    if not unused:
        return f"{head}<p>Every token of the vocabulary occurs.</p>\n"
    gaps = sum(token is None for token in vocabulary.tokens)
    chips = "".join(
        f'<li><b data-t="{number}">{visible(vocabulary.bytes_of(number)) or "<i>empty</i>"}</b></li>\n'
        for number in unused[:_MAX_UNUSED]
    )
    which = f"; the first {_MAX_UNUSED} by id are listed" if len(unused) > _MAX_UNUSED else ""
    unassigned = f" {gaps:,} more ids are unassigned." if gaps else ""
    return (
        f"{head}<p>{len(unused):,} of {len(vocabulary.tokens) - gaps:,} tokens do not occur{which}. A "
        f"model would never train their weights.{unassigned}</p>\n"
        f'<div class="tokens tall"><ul class="chips">\n{chips}</ul></div>\n'
    )


def _settings(store: TokenStore) -> str:
    manifest, record = store.manifest, store.manifest.encoding
    special = ", ".join(
        f"<code>{visible(token)}</code> {number}"
        for token, number in sorted(record.special_tokens.items(), key=lambda item: item[1])[:20]
    )
    if len(record.special_tokens) > 20:
        special += f" and {len(record.special_tokens) - 20:,} more"
    where = {"append": "at the end", "prepend": "at the beginning", "none": ""}[store.eot]
    end_token = f"{store.eot_token}, {where} of each document" if where else "none"
    facts = [
        ("encoding", f"<code>{visible(record.name)}</code>"),
        ("vocabulary", f"{store.vocab_size:,} ids"),
        (
            f"{'vocabulary' if record.kind == 'words' else 'rank table'}, sha256",
            f"<code>{record.rank_table_sha256}</code>",
        ),
        ("pattern", f"<code>{visible(record.pattern)}</code>"),
        ("special tokens", special or "none"),
        ("end token", end_token),
        *([] if store.bos_token is None else [("begin token", str(store.bos_token))]),
        ("separator of .txt", "none" if manifest.separator is None else code(manifest.separator)),
        ("field", code(manifest.field)),
        ("ids on disk", f"{manifest.dtype}, little-endian"),
        ("Unicode", escape(manifest.unicode_version)),
        ("format", f"{escape(manifest.format)}, version {manifest.version}"),
    ]
    rows = [f"<tr><th>{label}</th><td>{value}</td></tr>\n" for label, value in facts]
    return f"<h2>Encoding and settings</h2>\n{table((), rows)}"


def _shards(store: TokenStore) -> str:
    rows = []
    for index, shard in enumerate(store.manifest.shards[:_MAX_SHARDS]):
        size = bytes_of(store.head, shard.tokens, shard.documents)
        largest = "none" if shard.max_id is None else str(shard.max_id)
        rows.append(
            f'<tr><td class="n">{index}</td><td class="n">{shard.tokens:,}</td>'
            f'<td class="n">{shard.documents:,}</td><td class="n">{largest}</td>'
            f'<td class="n">{binary_size(size)}</td><td>{_inputs(shard)}</td></tr>\n'
        )
    head = ("shard", "tokens", "documents", "largest id", "on disk", "inputs")
    rest = len(store.manifest.shards) - len(rows)
    more = f"<p>And {rest:,} more shards.</p>\n" if rest else ""
    return f"<h2>Shards</h2>\n{table(head, rows, numbers={0, 1, 2, 3, 4}, tall=True)}{more}"


def _inputs(shard: ShardRecord) -> str:
    parts = []
    for span in shard.inputs[:_MAX_INPUTS]:
        part = (
            "" if span.end - span.start == span.size else f" <i>{span.start:,} to {span.end:,}</i>"
        )
        parts.append(code(span.path) + part)
    if len(shard.inputs) > _MAX_INPUTS:
        parts.append(f"<i>and {len(shard.inputs) - _MAX_INPUTS:,} more</i>")
    return "<br>".join(parts) or "none"
