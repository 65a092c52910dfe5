"""``fastprep export`` and ``fastprep import``: token stores to and from other programs' files."""

from __future__ import annotations

import argparse

from fastprep.cli import signals
from fastprep.cli.options import (
    add_encoding_options,
    add_eot_options,
    at_least_one,
    contents,
    encoding_of,
)
from fastprep.exchange.formats import FORMATS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fastprep.cli.parser import Parser


def add_export(command: Parser) -> None:
    """Add the options of ``export``."""
    command.description = (
        "Write a token store as the files of Megatron-LM (an .idx next to each .bin; without -o nothing "
        "is copied), datatrove and nanotron, nanoGPT, or llm.c."
    )
    command.examples = (
        "fastprep export store --to megatron",
        "fastprep export store --to nanogpt -o data/mine --validation 1",
        "fastprep export store --to datatrove -o ds --link",
    )
    command.variables = ("quiet",)
    command.add_argument("store", metavar="STORE", help="the store's directory")
    command.add_argument(
        "--to", required=True, choices=FORMATS, metavar="PROGRAM", help=" or ".join(FORMATS)
    )
    command.add_argument(
        "-o", "--output", metavar="DIR", help="directory to write to (default for megatron: STORE)"
    )
    command.add_argument(
        "--link",
        action="store_true",
        help="megatron, datatrove: link to the shards instead of a copy",
    )
    command.add_argument(
        "--one-file", action="store_true", help="megatron: one pair of files for the whole store"
    )
    split = command.add_mutually_exclusive_group()
    split.add_argument(
        "--validation",
        type=at_least_one,
        metavar="N",
        help="nanogpt, llmc: the first N documents are the validation split",
    )
    split.add_argument(
        "--validation-store",
        metavar="STORE",
        help="nanogpt, llmc: a store that is the validation split",
    )
    command.add_argument(
        "--shard-tokens",
        type=at_least_one,
        metavar="N",
        help="llmc: ids per file (default: 100000000)",
    )
    command.add_argument("--overwrite", action="store_true", help="replace existing files")
    command.add_argument("--quiet", action="store_true", help="do not list the written files")
    command.set_defaults(run=_export)


def add_import(command: Parser) -> None:
    """Add the options of ``import``."""
    command.description = (
        "Make a token store from the .bin and .idx of Megatron-LM, the .ds of datatrove, or the .bin of "
        "nanoGPT or llm.c. These files do not record their encoding: name it with --encoding."
    )
    command.examples = (
        "fastprep import data/mine/train.bin -o other --from nanogpt --encoding gpt2",
    )
    command.variables = ("encoding", "quiet")
    command.common = (
        *("output", "form", "encoding", "encoding_file", "eot", "link", "overwrite", "help"),
    )
    command.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="a file; each becomes one shard"
    )
    command.add_argument("-o", "--output", required=True, metavar="OUT", help="directory to create")
    command.add_argument(
        "--from",
        dest="form",
        required=True,
        choices=FORMATS,
        metavar="PROGRAM",
        help=f"what wrote the files: {' or '.join(FORMATS)}",
    )
    add_eot_options(command)
    command.add_argument("--link", action="store_true", help="link to the files instead of a copy")
    command.add_argument("--overwrite", action="store_true", help="replace a store at OUT")
    command.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
    add_encoding_options(
        command, by_name="the encoding that made the ids: a name, a model's name or a file"
    )
    command.set_defaults(run=_import)


def _export(options: argparse.Namespace) -> None:
    from fastprep.exchange.exports import export_store
    from fastprep.exchange.llmc import SHARD_TOKENS

    with signals.raising():
        paths = export_store(
            options.store,
            format=options.to,
            output=options.output,
            link=options.link,
            one_file=options.one_file,
            validation=options.validation or options.validation_store,
            shard_tokens=options.shard_tokens or SHARD_TOKENS,
            overwrite=options.overwrite,
        )
    for path in [] if options.quiet else paths:
        print(path)


def _import(options: argparse.Namespace) -> None:
    from fastprep.exchange.imports import import_tokens

    if not (options.encoding or options.encoding_file or options.vocab):
        options.usage("name what made the ids: --encoding, --encoding-file or --vocab")
    encoding = encoding_of(options)
    with signals.raising():
        store = import_tokens(
            options.inputs,
            options.output,
            format=options.form,
            encoding=encoding,
            eot=options.eot,
            eot_token=options.eot_token,
            link=options.link,
            overwrite=options.overwrite,
            progress=False if options.quiet else None,
        )
    if not options.quiet:
        print(f"{options.output}: {contents(store)}")
