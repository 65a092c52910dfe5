"""``fastprep help``: the help page of a command."""

from __future__ import annotations

import sys

from fastprep.cli.commands import COMMANDS, parser_of, print_overview, raise_no_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from fastprep.cli.parser import Parser


def add_help(command: Parser) -> None:
    """Add the options of ``help``."""
    command.examples = ("fastprep help prepare",)
    command.add_argument("topic", nargs="?", metavar="COMMAND", help="nothing: list the commands")
    command.completions["topic"] = tuple(COMMANDS)
    command.set_defaults(run=_help)


def _help(options: argparse.Namespace) -> None:
    if options.topic is None:
        print_overview(sys.stdout)
    elif options.topic in COMMANDS:
        parser_of(options.topic).print_page()
    else:
        raise_no_command(options.topic)
