"""``fastprep info``: what a token store holds."""

from __future__ import annotations

import argparse

from fastprep.cli.options import as_json
from fastprep.cli.report import add_report_option, write_report_of

TYPE_CHECKING = False  # typing.TYPE_CHECKING without typing, which takes long to import
if TYPE_CHECKING:
    from fastprep.cli.options import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "info",
        help="say what a token store holds",
        description="Say what a token store holds. Only its manifest and file sizes are looked at; "
        "with --report all of it is read, and shown on one page of HTML.",
        epilog="example: fastprep info store --json",
    )
    command.add_argument("store", metavar="STORE", help="the store's directory")
    command.add_argument("--json", action="store_true", help="as one JSON object")
    add_report_option(command)
    command.set_defaults(run=_info, usage=command.error)


def _info(options: argparse.Namespace) -> None:
    from fastprep.store.manifest import itemsize_of
    from fastprep.store.reader import TokenStore

    store = TokenStore(options.store)
    write_report_of(store, options)
    manifest = store.manifest
    inputs = {span.path: span.size for shard in manifest.shards for span in shard.inputs}
    facts = {
        "path": str(store.path),
        "version": manifest.version,
        "tokens": store.num_tokens,
        "documents": store.num_documents,
        "shards": len(manifest.shards),
        "dtype": manifest.dtype,
        "bytes": store.num_tokens * itemsize_of(manifest.dtype) + store.num_documents * 8,
        "encoding": manifest.encoding.name,
        "n_vocab": manifest.n_vocab,
        "rank_table_sha256": manifest.encoding.rank_table_sha256,
        "unicode_version": manifest.unicode_version,
        "end_token": manifest.end_token,
        "eot": store.eot,
        "separator": manifest.separator,
        "field": manifest.field,
        "on_error": manifest.on_error,
        "bad_documents": sum(shard.bad_documents for shard in manifest.shards),
        "part": None if manifest.part is None else manifest.part.name,
        "inputs": len(inputs),
        "input_bytes": sum(inputs.values()),
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
        "on_error": "on error",
        "bad_documents": "bad documents",
        "input_bytes": "input bytes",
    }
    for name, value in facts.items():
        shown = f"{value:,}" if isinstance(value, int) and name != "end_token" else value
        if name in ("separator", "field") and value is not None:
            shown = repr(value)
        print(f"{labels.get(name, name):<18} {'none' if value is None else shown}")
