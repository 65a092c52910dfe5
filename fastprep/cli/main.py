"""The ``fastprep`` command: names, arguments and exit codes around the library's own functions.

Each command stands in a file of its own, with its options. Only the one that is asked for is imported,
and it imports what it needs when it runs: a small job is over sooner than all of fastprep is imported.

Exit codes: 0 when all went well, 1 for an error (one line on stderr), 2 for wrong usage, 130 after
Ctrl-C, 143 after SIGTERM (`prepare`), 141 when whoever read the output went away.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from importlib import import_module

from fastprep.errors import FastprepError

TYPE_CHECKING = False  # typing.TYPE_CHECKING without typing, which takes long to import
if TYPE_CHECKING:
    from collections.abc import Sequence

# From command to the module that has it, in the order of the help.
_MODULE_OF = {
    "prepare": "prepare",
    "info": "info",
    "verify": "verify",
    "export": "exchange",
    "import": "exchange",
    "encode": "encode",
    "decode": "encode",
}


def command() -> int:
    """:func:`main` for a process that is this command and nothing else."""
    # What is imported stays. To look through it for what could go, again and again while it is
    # imported and three times as the process ends, takes a tenth of the time of a small job.
    gc.set_threshold(100_000)
    _open_streams()
    code = main()
    gc.freeze()
    return code


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
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser(words[0] if words else "").parse_args(words)
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
    except KeyboardInterrupt as interrupt:
        terminated = type(interrupt) is not KeyboardInterrupt
        _tell(options, "terminated" if terminated else "interrupted")
        return 143 if terminated else 130
    return 0


def _open_streams() -> None:
    """Give a process that was begun without standard streams ones that hold nothing.

    Python has None for a closed one, and the next file that is opened would take its number.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: PTH123, SIM115


def _parser(first: str) -> argparse.ArgumentParser:
    """The parser of a command line that begins with this word: where it is no command, of all."""
    parser = argparse.ArgumentParser(
        prog="fastprep",
        description="Raw text to training batches, exactly as tiktoken.",
        epilog="example: fastprep prepare corpus/*.jsonl -o store && fastprep info store",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="say which version this is")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    modules = [_MODULE_OF[first]] if first in _MODULE_OF else dict.fromkeys(_MODULE_OF.values())
    for module in modules:
        import_module(f"fastprep.cli.{module}").add(commands)
    return parser


def _tell(options: argparse.Namespace, line: str) -> None:
    # A log for machines has said it already, and no other line may stand in it.
    if getattr(options, "log", None) is None:
        print(f"fastprep: {line}", file=sys.stderr)


class _Version(argparse.Action):
    """Looks the version up when it is asked for: that takes longer than to parse a command line."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import fastprep

        print(f"fastprep {fastprep.__version__}")
        parser.exit()


def _one_line(error: BaseException) -> str:
    message = str(error) or type(error).__name__
    return " ".join(message.split())
