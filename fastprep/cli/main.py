"""The ``fastprep`` command: names, arguments and exit codes around the library's own functions.

Each command has its own module, with its options. Only the requested one is imported, and it imports
what it needs when it runs: a small job takes less time than the import of all of fastprep.

Exit codes: 0 for success, 1 for an error (one line on stderr), 2 for wrong usage, which an option with
a wrong value is, 130 after Ctrl-C, 143 after SIGTERM, 141 if the reader of the output closed it.
``docs/command-line.md`` says which is which.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
from _signal import SIGTERM  # type: ignore[import-not-found]

from fastprep.cli import signals
from fastprep.cli.commands import COMMANDS, parser_of, print_overview, raise_no_command
from fastprep.terminal import EscapingStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import NoReturn

# What Python says if it cannot start a thread or make a lock.
_NO_LOCK = ("can't start new thread", "can't allocate")
# What the loader of shared libraries says if no memory is left.
_NO_MEMORY = ("cannot allocate memory", "failed to map segment", "Cannot allocate memory")


def command() -> NoReturn:
    """Run :func:`main` in a process that does nothing else, and end the process with its exit code."""
    signals.end_at_once()
    # Imported objects live until the end. Searching them for garbage, repeatedly during the imports,
    # takes a tenth of the time of a small job.
    gc.set_threshold(100_000)
    # Before an import of numpy: nothing here is linear algebra, and its threads cost time and memory.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _open_streams()
    sys.unraisablehook = signals.end_if_ignored
    try:
        try:
            code = main()
        except SystemExit as end:  # of a usage error or a help page
            code = end.code if isinstance(end.code, int) else 1
        signals.ignore()
        try:
            _flush()
        except OSError as error:
            code = code or _end_by_error(error)
        atexit._run_exitfuncs()
    except (MemoryError, SystemError) as error:  # while an error was printed, or later
        if not _is_no_memory(error):
            raise
        os.write(2, b"fastprep: error: memory ran out\n")
        code = 1
    # Not by a return, which would end the interpreter step by step: it takes longer than a small
    # job, and a thread that still waits for a read then ends by pthread_exit, which aborts the
    # process if there is no memory to load libgcc_s.
    os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    `arguments` are the words after ``fastprep``; by default those of this process.

    >>> main(["encode", "Hello, world"])
    15496 11 995
    0
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = None
    signals.raised = 0
    try:
        if words[:1] in (["-V"], ["--version"]):
            import fastprep

            print(f"fastprep {fastprep.__version__}")
        elif words[:1] in (["-h"], ["--help"]):
            print_overview(sys.stdout)
        else:
            options = _options(words)
            options.run(options)
        _flush()  # only this finds that a pipe is closed or a disk full
    except KeyboardInterrupt as interrupt:
        return _end_by_signal(type(interrupt) is not KeyboardInterrupt, options)
    except Exception as error:
        if signals.raised:
            return _end_by_signal(signals.raised == SIGTERM, options)
        return _end_by_error(error, options)
    return 0


def _end_by_signal(terminated: bool, options: argparse.Namespace | None) -> int:
    _print_error(options, "terminated" if terminated else "interrupted")
    return 143 if terminated else 130


def _end_by_error(error: Exception, options: argparse.Namespace | None = None) -> int:
    """Print the line of an expected error and return its exit code; raise any other error."""
    try:
        sys.stdout.flush()
    except OSError:
        _discard_output()
    if isinstance(error, BrokenPipeError):
        return 141
    if _is_no_memory(error):
        _print_error(options, f"error: memory ran out{getattr(options, 'resumable', '')}")
        return 1
    from fastprep.errors import FastprepError, InvalidArgument

    if not isinstance(error, (FastprepError, ImportError, OSError)):
        raise error
    if isinstance(error, InvalidArgument):
        # With --log the error is an event, which is printed already.
        if options is not None and getattr(options, "log", None) is None:
            options.usage(_one_line(error, options))
        return 2
    _print_error(options, f"error: {_one_line(error, options)}")
    return 1


def _is_no_memory(error: BaseException | None) -> bool:
    """Return whether an error, or one that it was raised for, says that memory or threads ran out."""
    while error is not None:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == 12:
            return True
        # What numpy and Python itself raise where they forget to raise MemoryError.
        if isinstance(error, SystemError) and "without" in str(error):
            return True
        if isinstance(error, RuntimeError) and str(error).startswith(_NO_LOCK):
            return True
        if isinstance(error, ImportError) and any(text in str(error) for text in _NO_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


def _open_streams() -> None:
    """Replace missing standard streams by the null device, and let the others escape what they print.

    Python sets a closed stream to None, and the next file that is opened would take its descriptor.
    Names of files, documents and vocabularies may hold what a terminal obeys.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: PTH123, SIM115
        elif number:
            setattr(sys, name, EscapingStream(getattr(sys, name)))


def _flush() -> None:
    """Flush the output; raise OSError, which names it, if that fails."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from None


def _discard_output() -> None:
    """Send the rest of the output to the null device: it is flushed once more, which must not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _options(words: Sequence[str]) -> argparse.Namespace:
    """Return the options of the command that the words name; end with a usage error if there is none."""
    if not words:
        print_overview(sys.stderr)
        raise SystemExit(2)
    if words[0] not in COMMANDS:
        raise_no_command(words[0])
    return parser_of(words[0]).parse(words[1:])


def _print_error(options: argparse.Namespace | None, line: str) -> None:
    # With --log the error is the last event, and no other line may follow.
    if not getattr(options, "error_is_logged", False):
        with contextlib.suppress(OSError):  # the exit code says it
            print(f"fastprep: {line}", file=sys.stderr)


def _one_line(error: BaseException, options: argparse.Namespace | None) -> str:
    from fastprep.cli.messages import in_command_words

    message = " ".join(str(error).split()) or type(error).__name__
    return in_command_words(message, getattr(options, "parser", None))
