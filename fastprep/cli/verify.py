"""``fastprep verify``: a check of every byte of a token store."""

from __future__ import annotations

import argparse
import contextlib
import sys

from fastprep.cli.options import add_encoding_options, at_least_one, counted, encoding_of_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastprep.cli.options import Commands
    from fastprep.store.reader import TokenStore

_SECONDS_BEFORE_BAR = 1.0


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "verify",
        help="check every byte of a token store",
        description="Check sizes, checksums, ids and document ends of a whole store. With --against, "
        "also encode its inputs with another library, and compare id by id.",
        epilog="example: fastprep verify store --against tiktoken --sample 1000",
    )
    command.add_argument("store", metavar="STORE", help="the store's directory")
    command.add_argument(
        "--against",
        choices=["tiktoken", "tokenizers", "notebook"],
        help="compare with this library; needs the input files",
    )
    command.add_argument(
        "--sample", type=at_least_one, metavar="N", help="compare N documents instead of all"
    )
    command.add_argument(
        "--sources",
        action="append",
        metavar="DIR",
        help="with --against, read only inputs below this directory or URL; may be repeated (default: "
        "what a store of your own names; of another user's store only what is below the current "
        "directory)",
    )
    command.add_argument("--quiet", action="store_true", help="print nothing if the store is good")
    add_encoding_options(command, by_name=None)
    command.set_defaults(run=_verify, usage=command.error)


def _verify(options: argparse.Namespace) -> None:
    if options.sample and not options.against:
        options.usage("--sample goes with --against: all other checks are of the whole store")
    if options.sources and not options.against:
        options.usage("--sources goes with --against: without it no input is read")
    from fastprep.checks.verification import verify
    from fastprep.store.reader import TokenStore

    encoding = encoding_of_file(options)
    store = TokenStore(options.store)
    with _bar(store, quiet=options.quiet) as report:
        found = verify(
            store,
            against=options.against,
            sample=options.sample,
            encoding=encoding,
            sources=options.sources,
            report=report,
        )
    if not options.quiet:
        compared = (
            f", {found.compared:,} compared with {options.against}" if options.against else ""
        )
        print(
            f"{options.store}: good: {counted(found.tokens, 'token')}, "
            f"{counted(found.documents, 'document')}{compared}"
        )


@contextlib.contextmanager
def _bar(store: TokenStore, *, quiet: bool) -> Iterator[Callable[[int], object]]:
    """Yield a function that counts the bytes read, for a bar on a terminal if they take long."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    from tqdm import tqdm

    from fastprep.store.manifest import itemsize_of

    size = store.num_tokens * itemsize_of(store.head.dtype) + 8 * store.num_documents
    with tqdm(total=size, unit="B", unit_scale=True, leave=False, delay=_SECONDS_BEFORE_BAR) as bar:
        yield bar.update
