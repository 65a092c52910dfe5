"""``fastprep verify``: every byte of a token store, looked at."""

from __future__ import annotations

import argparse

from fastprep.cli_encoding import add_encoding_options, encoding_of_file
from fastprep.cli_types import at_least_one, counted

TYPE_CHECKING = False  # typing.TYPE_CHECKING without typing, which takes long to import
if TYPE_CHECKING:
    from fastprep.cli_types import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "verify",
        help="check every byte of a token store",
        description="Check sizes, checksums, ids and document ends of a whole store; with "
        "--against also encode its inputs again by another library and compare id by id.",
        epilog="example: fastprep verify store --against tiktoken --sample 1000",
    )
    command.add_argument("store", metavar="STORE", help="the store's directory")
    command.add_argument(
        "--against",
        choices=["tiktoken", "tokenizers", "notebook"],
        help="compare with that library; needs the input files",
    )
    command.add_argument(
        "--sample", type=at_least_one, metavar="N", help="compare N documents, not all"
    )
    command.add_argument("--quiet", action="store_true", help="say nothing when all is well")
    add_encoding_options(command, by_name=None)
    command.set_defaults(run=_verify, usage=command.error)


def _verify(options: argparse.Namespace) -> None:
    if options.sample and not options.against:
        options.usage("--sample goes with --against: all else is looked at whole")
    from fastprep.verifying import verify

    found = verify(
        options.store,
        against=options.against,
        sample=options.sample,
        encoding=encoding_of_file(options),
    )
    if not options.quiet:
        compared = (
            f", {found.compared:,} compared with {options.against}" if options.against else ""
        )
        print(
            f"{options.store}: good: {counted(found.tokens, 'token')}, "
            f"{counted(found.documents, 'document')}{compared}"
        )
