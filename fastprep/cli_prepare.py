"""``fastprep prepare``: text files to a token store."""

from __future__ import annotations

import argparse

from fastprep.cli_encoding import add_encoding_options, encoding_of
from fastprep.cli_types import Commands, at_least_one, separator


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "prepare",
        help="encode text files into a token store",
        description="Encode .txt and .jsonl files into a token store, in the order given. The "
        "store's bytes depend on the inputs and settings alone, not on the number of workers.",
        epilog=r"example: fastprep prepare books/*.txt -o store --separator '\n\n\n' --workers 8",
    )
    command.add_argument("inputs", nargs="+", metavar="INPUT", help="a .txt or .jsonl file")
    command.add_argument("-o", "--output", required=True, metavar="OUT", help="directory to make")
    between = command.add_mutually_exclusive_group()
    between.add_argument(
        "--separator",
        type=separator,
        default="<|endoftext|>",
        metavar="S",
        help=r"between the documents of a .txt file; \n, \r, \t, \0 and \\ are understood "
        "(default: %(default)s)",
    )
    between.add_argument(
        "--whole-files", action="store_true", help="each .txt file is one document"
    )
    command.add_argument(
        "--field", default="text", metavar="F", help="key of the text in .jsonl (default: text)"
    )
    command.add_argument(
        "--eot",
        default=True,
        metavar="TOKEN",
        help="the special token to put after each document (default: <|endoftext|>)",
    )
    command.add_argument("--no-eot", action="store_true", help="put none")
    command.add_argument(
        "--workers", type=at_least_one, metavar="N", help="processes (default: one a core)"
    )
    command.add_argument(
        "--shard-bytes",
        type=at_least_one,
        metavar="N",
        help="about how many bytes of input go into a shard (default: 16 to 256 MiB)",
    )
    command.add_argument("--overwrite", action="store_true", help="replace a store at OUT")
    command.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
    add_encoding_options(command)
    command.set_defaults(run=_prepare, usage=command.error)


def _prepare(options: argparse.Namespace) -> None:
    from fastprep.preparing import prepare

    store = prepare(
        options.inputs,
        options.output,
        encoding=encoding_of(options),
        separator=None if options.whole_files else options.separator,
        field=options.field,
        append_eot=False if options.no_eot else options.eot,
        workers=options.workers,
        shard_bytes=options.shard_bytes,
        overwrite=options.overwrite,
        progress=False if options.quiet else None,
    )
    if not options.quiet:
        print(
            f"{options.output}: {store.num_tokens:,} tokens in {store.num_documents:,} documents, "
            f"{len(store.manifest.shards):,} shards"
        )
