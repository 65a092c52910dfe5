"""The ``fastprep`` command: names, arguments and exit codes around the library's own functions.

Each command stands in a file of its own, with its options, and imports what it needs when it runs, so
that ``--help`` and wrong usage are answered at once.

Exit codes: 0 when all went well, 1 for an error (one line on stderr), 2 for wrong usage, 130 after
Ctrl-C, 141 when whoever read the output went away.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import fastprep
from fastprep import cli_encode, cli_info, cli_neighbours, cli_prepare, cli_verify
from fastprep.errors import FastprepError

_COMMANDS = (cli_prepare, cli_info, cli_verify, cli_neighbours, cli_encode)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments
        the words after ``fastprep``; by default those of this process.

    Examples
    --------
    >>> main(["encode", "Hello, world"])
    15496 11 995
    0
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        # A pipe may be found closed only now.
        sys.stdout.flush()
    except (FastprepError, ImportError, OSError, MemoryError) as error:
        if isinstance(error, BrokenPipeError):
            # Python flushes once more on its way out; give it something to flush into.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        _tell(options, f"error: {_one_line(error)}")
        return 1
    except KeyboardInterrupt:
        _tell(options, "interrupted")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fastprep",
        description="Raw text to training batches, exactly as tiktoken.",
        epilog="example: fastprep prepare corpus/*.jsonl -o store && fastprep info store",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="say which version this is")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add(commands)
    return parser


def _tell(options: argparse.Namespace, line: str) -> None:
    # A log for machines has said it already, and no other line may stand in it.
    if getattr(options, "log", None) is None:
        print(f"fastprep: {line}", file=sys.stderr)


class _Version(argparse.Action):
    """Looks the version up when it is asked for: that takes longer than to parse a command line."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"fastprep {fastprep.__version__}")
        parser.exit()


def _one_line(error: BaseException) -> str:
    message = str(error) or type(error).__name__
    return " ".join(message.split())
