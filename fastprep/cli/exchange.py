"""``fastprep export`` and ``fastprep import``: to and from the files of other programs."""

from __future__ import annotations

import argparse

from fastprep.cli.encoding import add_encoding_options, encoding_of
from fastprep.cli.options import at_least_one, contents

TYPE_CHECKING = False  # typing.TYPE_CHECKING without typing, which takes long to import
if TYPE_CHECKING:
    from fastprep.cli.options import Commands

_FORMATS = ["megatron", "datatrove", "nanogpt", "llmc"]


def add(commands: Commands) -> None:
    """Add both commands."""
    _add_export(commands)
    _add_import(commands)


def _add_export(commands: Commands) -> None:
    command = commands.add_parser(
        "export",
        help="write a token store as the files of another program",
        description="Write a token store as the files of Megatron-LM (an .idx beside each .bin, "
        "nothing copied unless -o is given), datatrove and nanotron, nanoGPT, or llm.c.",
        epilog="example: fastprep export store --to nanogpt -o data/mine --validation 100",
    )
    command.add_argument("store", metavar="STORE", help="the store's directory")
    command.add_argument("--to", required=True, choices=_FORMATS, help="whose files")
    command.add_argument(
        "-o", "--output", metavar="DIR", help="directory to write into; megatron: default STORE"
    )
    command.add_argument(
        "--link", action="store_true", help="megatron, datatrove: link to the shards, do not copy"
    )
    command.add_argument(
        "--one-file", action="store_true", help="megatron: one pair for the whole store"
    )
    split = command.add_mutually_exclusive_group()
    split.add_argument(
        "--validation",
        type=at_least_one,
        metavar="N",
        help="nanogpt, llmc: the first N documents are the validation split",
    )
    split.add_argument(
        "--validation-store", metavar="STORE", help="nanogpt, llmc: that store is it"
    )
    command.add_argument(
        "--shard-tokens",
        type=at_least_one,
        metavar="N",
        help="llmc: ids a file (default: 100000000)",
    )
    command.add_argument("--overwrite", action="store_true", help="replace files that are there")
    command.add_argument("--quiet", action="store_true", help="do not list what was written")
    command.set_defaults(run=_export, usage=command.error)


def _add_import(commands: Commands) -> None:
    command = commands.add_parser(
        "import",
        help="make a token store of the files of another program",
        description="Make a token store of Megatron-LM's .bin and .idx, datatrove's .ds, nanoGPT's or "
        "llm.c's .bin. No such file says which encoding made it: name it with --encoding.",
        epilog="example: fastprep import train.bin -o store --from nanogpt --encoding gpt2",
    )
    command.add_argument("inputs", nargs="+", metavar="INPUT", help="a file; a shard each")
    command.add_argument("-o", "--output", required=True, metavar="OUT", help="directory to make")
    command.add_argument(
        "--from", dest="form", required=True, choices=_FORMATS, help="whose files they are"
    )
    command.add_argument(
        "--eot",
        choices=["append", "prepend", "none"],
        default="append",
        help="where the end token of each document stands (default: append)",
    )
    command.add_argument(
        "--eot-token", metavar="TOKEN", help="which special token that is (default: <|endoftext|>)"
    )
    command.add_argument("--link", action="store_true", help="link to the files, do not copy")
    command.add_argument("--overwrite", action="store_true", help="replace a store at OUT")
    command.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
    add_encoding_options(command, by_name="gpt2, cl100k_base and so on: what made the ids")
    command.set_defaults(run=_import, usage=command.error)


def _export(options: argparse.Namespace) -> None:
    from fastprep.exchange.exports import export_store
    from fastprep.exchange.llmc import SHARD_TOKENS

    for path in export_store(
        options.store,
        to=options.to,
        output=options.output,
        link=options.link,
        one_file=options.one_file,
        validation=options.validation or options.validation_store,
        shard_tokens=options.shard_tokens or SHARD_TOKENS,
        overwrite=options.overwrite,
    ):
        if not options.quiet:
            print(path)


def _import(options: argparse.Namespace) -> None:
    from fastprep.exchange.imports import import_tokens

    if not (options.encoding or options.encoding_file or options.vocab):
        options.usage("name what made the ids: --encoding, --encoding-file or --vocab")
    store = import_tokens(
        options.inputs,
        options.output,
        format=options.form,
        encoding=encoding_of(options),
        eot=options.eot,
        eot_token=options.eot_token,
        link=options.link,
        overwrite=options.overwrite,
        progress=False if options.quiet else None,
    )
    if not options.quiet:
        print(f"{options.output}: {contents(store)}")
