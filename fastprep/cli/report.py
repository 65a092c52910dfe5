"""``fastprep info --report``: the page about a store."""

from __future__ import annotations

import argparse

from fastprep.cli.encoding import add_encoding_options, encoding_of_file

TYPE_CHECKING = False  # typing.TYPE_CHECKING without typing, which takes long to import
if TYPE_CHECKING:
    from fastprep.store.reader import TokenStore


def add_report_option(command: argparse.ArgumentParser) -> None:
    """Add ``--report`` and how to tell the encoding, which it needs to show text."""
    command.add_argument(
        "--report", metavar="FILE", help="also write a page of HTML with plots and samples"
    )
    add_encoding_options(command, by_name=None)


def write_report_of(store: TokenStore, options: argparse.Namespace) -> None:
    """Write the page if the options ask for it."""
    encoding = encoding_of_file(options)
    if options.report is None:
        if encoding is not None:
            options.usage("--encoding-file goes with --report")
        return
    from fastprep.report.page import write_report

    write_report(store, options.report, encoding=encoding)
