"""``fastprep bench``: the tokenizers that are installed, on one's own text."""

from __future__ import annotations

import argparse
import contextlib
import sys

from fastprep.cli.options import (
    add_encoding_options,
    add_format_options,
    as_json,
    at_least_one,
    counted,
    encoding_of,
)
from fastprep.errors import InvalidArgument, InvalidInput
from fastprep.terminal import BOLD, DIM, GREEN, RED, Pen, columns_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fastprep.checks.peers import Measured
    from fastprep.cli.parser import Parser
    from fastprep.encoding.encoding import Encoding


def add_bench(command: Parser) -> None:
    """Add the options of ``bench``."""
    command.description = (
        "Compare the tokenizers that are installed on your text: first their ids, document by document, "
        "then their speed in MB of text per second of CPU time, on one thread, in turns. Documents that "
        "contain the text of a special token are left out, because libraries differ there by design."
    )
    command.examples = (
        "fastprep bench 'corpus/*.jsonl'",
        "fastprep bench 'books/*.txt' --encoding gpt-4o --megabytes 50 --rounds 5",
    )
    command.add_argument("inputs", nargs="+", metavar="FILE", help="as INPUT of prepare")
    command.add_argument(
        "--megabytes",
        type=_megabytes,
        default=4.0,
        metavar="MB",
        help="use the first MB of the text (default: 4)",
    )
    command.add_argument(
        "--rounds",
        type=at_least_one,
        default=3,
        metavar="N",
        help="times that each encodes all of it; the median counts (default: 3)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    group = command.add_argument_group("inputs")
    group.add_argument(
        "--field", default="text", metavar="F", help="key or column of the text (default: text)"
    )
    add_format_options(group)
    add_encoding_options(command)
    command.variables = ("encoding", "field", "format")
    command.common = ("megabytes", "rounds", "json", "encoding", "help")
    command.set_defaults(run=_bench)


def _bench(options: argparse.Namespace) -> None:
    encoding = encoding_of(options)
    from fastprep.encoding.encoding import Encoding

    if not isinstance(encoding, Encoding):
        raise InvalidArgument("other libraries have no word tokenizers; leave out --vocab")
    from fastprep import __version__
    from fastprep.checks.peers import installed, measure, missing

    documents, left_out = _documents(options, encoding)
    if not documents:
        raise InvalidInput(f"{', '.join(options.inputs)}: there are no documents to compare on")
    size = sum(len(text.encode()) for text in documents)
    with _status(f"{size / 1e6:,.1f} MB") as log:
        found = [
            each if each.version else each._replace(version=__version__)
            for each in measure(encoding, documents, options.rounds, log)
        ]
    facts: dict[str, object] = {
        "encoding": encoding.name,
        "bytes": size,
        "documents": len(documents),
        "documents_left_out": left_out,
        "rounds": options.rounds,
        "unit": "MB per second of CPU, one thread",
        "tokenizers": [_facts(each) for each in found],
        "not_installed": missing(),
    }
    if options.json:
        print(as_json(facts))
        return
    pen = Pen(sys.stdout)
    pen.print(
        f"{size / 1e6:,.1f} MB of text in {counted(len(documents), 'document')}, {encoding.name}"
        + (f"; {counted(left_out, 'document')} with special tokens left out" if left_out else "")
    )
    pen.print("MB per second of CPU on one thread: of new text, and of the same text again")
    pen.print(f"(median of {counted(options.rounds, 'round')} in turns; more is faster)\n")
    _print_table(found, pen)
    if not installed():
        pen.print("\nno other tokenizer is installed; to compare with some:")
        pen.print("  pip install tiktoken tokenizers")
    elif missing():
        pen.print(pen(f"\nnot installed: {', '.join(missing())}", DIM))


@contextlib.contextmanager
def _status(what: str) -> Iterator[Callable[[str], object]]:
    """Yield a function that shows what is done, in a line of the terminal that is removed at the end."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    width = 0

    def show(step: str) -> None:
        nonlocal width
        line = f"comparing on {what}: {step}"[: columns_of(sys.stderr) - 1]
        print(f"\r{line:<{width}}", end="", file=sys.stderr, flush=True)
        width = len(line)

    try:
        yield show
    finally:
        print(f"\r{'':<{width}}", end="\r", file=sys.stderr, flush=True)


def _print_table(found: Sequence[Measured], pen: Pen) -> None:
    best = max((each.again or 0.0 for each in found), default=0.0)
    pen.print(pen(f"{'tokenizer':<18} {'version':<9} {'ids':<6} {'new':>8} {'again':>8}", BOLD))
    for each in found:
        start = f"{each.name:<18} {each.version:<9} "
        if each.fault is not None:
            pen.print(start + pen(f"not compared: {each.fault}", DIM))
        elif each.difference is not None:
            wrong, document, position = each.difference
            place = f"first in document {document:,} at id {position:,}"
            pen.print(start + pen(f"differ in {counted(wrong, 'document')}, {place}", RED))
        else:
            speeds = f"{each.first or 0:8.1f} {each.again or 0:8.1f}"
            bar = "▆" * round(20 * (each.again or 0) / best) if best else ""
            pen.print(f"{start}{pen('equal', GREEN)}  {speeds}  {pen(bar, DIM)}".rstrip())


def _facts(each: Measured) -> dict[str, object]:
    facts = each._asdict()
    facts["difference"] = None if each.difference is None else each.difference._asdict()
    for name in ("first", "again"):
        facts[name] = None if facts[name] is None else round(facts[name], 2)
    return facts


def _documents(options: argparse.Namespace, encoding: Encoding) -> tuple[list[str], int]:
    """Return the first documents, and the number of those left out; long ones come in parts."""
    from fastprep.corpus import reader
    from fastprep.corpus.documents import Format
    from fastprep.corpus.inputs import find

    form = Format("<|endoftext|>", options.field, "raise", options.format, options.zstd_window)
    special = encoding.special_tokens_set
    chosen: list[str] = []
    left_out = size = 0
    with contextlib.closing(reader.read(find(options.inputs, form), form)) as batches:
        for batch in batches:
            for content in batch.texts:
                text = bytes(content).decode("utf-8", "replace")
                if any(token in text for token in special):
                    left_out += 1
                    continue
                # The limit counts bytes; a part of that many characters is not much more.
                room = max(int(options.megabytes * 1e6) - size, 0)
                chosen.append(text[:room])
                size += len(chosen[-1].encode())
                if size >= options.megabytes * 1e6:
                    return chosen, left_out
    return chosen, left_out


def _megabytes(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r}: it must be a number above 0, as 10 or 0.5")
    return number
