"""The ``fastprep`` command: names, arguments and exit codes around the library's own functions.

Each command has its own module, with its options. Only the requested one is imported, and it imports
what it needs when it runs: a small job takes less time than the import of all of fastprep.

Exit codes: 0 for success, 1 for an error (one line on stderr), 2 for wrong usage, which an option with
a wrong value is, 130 after Ctrl-C, 143 after SIGTERM (`prepare`), 141 if the reader of the output closed
it. ``docs/command-line.md`` says which is which.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from importlib import import_module

from fastprep.errors import FastprepError, InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# The module of each command, in the order of the help.
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
    """Run :func:`main` in a process that does nothing else, and return its exit code."""
    # Imported objects live until the end. Searching them for garbage, repeatedly during the imports
    # and three times at exit, takes a tenth of the time of a small job.
    gc.set_threshold(100_000)
    _open_streams()
    code = main()
    gc.freeze()
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    `arguments` are the words after ``fastprep``; by default those of this process.

    >>> main(["encode", "Hello, world"])
    15496 11 995
    0
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser(words[0] if words else "").parse_args(words)
    try:
        options.run(options)
        # Here, because only a flush finds that a pipe is closed.
        sys.stdout.flush()
    except (FastprepError, ImportError, OSError, MemoryError) as error:
        if isinstance(error, BrokenPipeError):
            # Python flushes once more at exit, and must not fail then.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        if isinstance(error, InvalidArgument):
            # With --log the error is an event, which is printed already.
            if getattr(options, "log", None) is None:
                options.usage(_one_line(error))
            return 2
        _print_error(options, f"error: {_one_line(error)}")
        return 1
    except KeyboardInterrupt as interrupt:
        terminated = type(interrupt) is not KeyboardInterrupt
        _print_error(options, "terminated" if terminated else "interrupted")
        return 143 if terminated else 130
    return 0


def _open_streams() -> None:
    """Replace missing standard streams by the null device.

    Python sets a closed stream to None, and the next file that is opened would take its descriptor.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: PTH123, SIM115


def _parser(first: str) -> argparse.ArgumentParser:
    """Return the parser for a command line that begins with `first`: of one command, or of all."""
    parser = argparse.ArgumentParser(
        prog="fastprep",
        description="Raw text to training batches, exactly as tiktoken.",
        epilog="example: fastprep prepare corpus/*.jsonl -o store && fastprep info store",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    modules = [_MODULE_OF[first]] if first in _MODULE_OF else dict.fromkeys(_MODULE_OF.values())
    for module in modules:
        import_module(f"fastprep.cli.{module}").add(commands)
    return parser


def _print_error(options: argparse.Namespace, line: str) -> None:
    # With --log the error is the last event, and no other line may follow.
    if getattr(options, "log", None) is None:
        print(f"fastprep: {line}", file=sys.stderr)


class _Version(argparse.Action):
    """The option ``--version``, which reads the version only if used: it takes longer than parsing."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import fastprep

        print(f"fastprep {fastprep.__version__}")
        parser.exit()


def _one_line(error: BaseException) -> str:
    message = str(error) or type(error).__name__
    return " ".join(message.split())
