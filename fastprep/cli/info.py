"""``fastprep info``: the facts about a token store, and with ``--report`` a page about it."""

from __future__ import annotations

import argparse
import sys

from fastprep.cli import signals
from fastprep.cli.options import add_encoding_options, as_json, encoding_of_file, in_units, size_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fastprep.cli.parser import Parser


def add_info(command: Parser) -> None:
    """Add the options of ``info``."""
    command.description = (
        "Show what a token store holds. This reads only its manifest and file sizes; with --report it "
        "reads the whole store, and writes one page of HTML."
    )
    command.examples = (
        "fastprep info store",
        "fastprep info store --json",
        "fastprep info store --report store.html",
    )
    command.add_argument("store", metavar="STORE", help="the store's directory")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.add_argument(
        "--report", metavar="FILE", help="also write a page of HTML with plots and samples"
    )
    add_encoding_options(command, by_name=None)
    command.set_defaults(run=_info)


def _info(options: argparse.Namespace) -> None:
    from msgspec import UNSET

    from fastprep.store.reader import TokenStore

    if options.report is None and (options.encoding_file or options.vocab):
        options.usage("--encoding-file and --vocab go with --report")
    encoding = encoding_of_file(options)
    store = TokenStore(options.store)
    if options.report is not None:
        from fastprep.report.page import write_report

        with signals.raising():
            write_report(store, options.report, encoding=encoding)
    manifest = store.head
    inputs: dict[str, int] = {}
    bad = trained = 0
    for shard in store.summaries():
        for span in shard.inputs:
            inputs[span.path] = span.size
        bad += shard.bad_documents
        trained += shard.mask_tokens or 0
    facts: dict[str, object] = {
        "path": str(store.path),
        "version": manifest.version,
        "tokens": store.num_tokens,
        "documents": store.num_documents,
        "shards": store.num_shards,
        "appends": len(manifest.appended or ()),
        "dtype": manifest.dtype,
        "bytes": size_of(store),
        "encoding": manifest.encoding.name,
        "n_vocab": manifest.n_vocab,
        "rank_table_sha256": manifest.encoding.rank_table_sha256,
        "unicode_version": manifest.unicode_version,
        "end_token": manifest.end_token,
        "eot": store.eot,
        "begin_token": store.bos_token,
        "separator": manifest.separator,
        "field": manifest.field,
        "on_error": manifest.on_error,
        "bad_documents": bad,
        "part": None if manifest.part is None else manifest.part.name,
        "shuffle": None if manifest.shuffle is UNSET else manifest.shuffle,
        "template": manifest.messages.template if manifest.messages else None,
        "template_sha256": manifest.messages.sha256 if manifest.messages else None,
        "assistant_tokens": trained if store.has_mask else None,
        "fim_rate": manifest.infill.rate if manifest.infill else None,
        "inputs": len(inputs),
        "input_bytes": sum(inputs.values()),
        "passed_over": sum(record.count for record in store.passed_over),
    }
    if options.json:
        print(as_json(facts))
        return
    labels = {
        "version": "format version",
        "n_vocab": "vocabulary",
        "rank_table_sha256": "rank table sha256",
        "unicode_version": "Unicode version",
        "end_token": "end token",
        "eot": "end token is",
        "begin_token": "begin token",
        "on_error": "on error",
        "bad_documents": "bad documents",
        "template_sha256": "template sha256",
        "assistant_tokens": "assistant's tokens",
        "fim_rate": "infill rate",
        "input_bytes": "input bytes",
        "passed_over": "passed over",
    }
    for name, value in facts.items():
        shown = (
            f"{value:,}"
            if isinstance(value, int) and name not in ("end_token", "begin_token", "shuffle")
            else value
        )
        if name in ("separator", "field") and value is not None:
            shown = repr(value)
        if name == "template" and manifest.messages:
            is_text = manifest.messages.kind == "jinja"
            shown = f"Jinja, {len(str(value)):,} characters" if is_text else value
        if name == "assistant_tokens" and store.has_mask:
            shown = f"{trained:,} of {store.num_tokens:,}"
        if name in ("bytes", "input_bytes") and sys.stdout.isatty():
            shown = f"{shown} ({in_units(float(str(value)), 'B')})"
        print(f"{labels.get(name, name):<18} {'none' if value is None else shown}")
