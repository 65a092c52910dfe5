"""``fastprep show``: documents of a store, and the tokens of a text, for eyes."""

from __future__ import annotations

import re
import sys
from itertools import accumulate

from fastprep.cli.options import add_encoding_options, counted, encoding_of, encoding_of_file
from fastprep.errors import InvalidArgument
from fastprep.terminal import DIM, Pen, columns_of, escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

    from fastprep.cli.parser import Parser
    from fastprep.encoding.token_html import TokenGroup
    from fastprep.store.encodings import StoreEncoding
    from fastprep.store.reader import TokenStore


def add_show(command: Parser) -> None:
    """Add the options of ``show``."""
    command.description = (
        "Print documents of a store, or with --text any text. With --tokens, and always with --text, "
        "print tokens and their ids: in colours on a terminal, otherwise a token per line, its ids "
        "first. What a terminal would obey is escaped there."
    )
    command.examples = (
        "fastprep show store 17",
        "fastprep show store -1 --tokens",
        "fastprep show store 0:3",
        "fastprep show --text 'Hello, world' --encoding gpt-4o",
    )
    command.add_argument("store", nargs="?", metavar="STORE", help="the store's directory or URL")
    command.add_argument(
        "documents",
        nargs="*",
        type=_numbers,
        metavar="N",
        help="numbers of documents from 0 on, -1 for the last, or ranges A:B without B (default: 0)",
    )
    # A range may begin with a minus sign, too.
    command._negative_number_matcher = re.compile(r"-\d")
    command.add_argument("--text", metavar="TEXT", help="show the tokens of this text")
    command.add_argument("--tokens", action="store_true", help="show tokens and their ids")
    add_encoding_options(command, by_name="of --text: a name, a model's name or a file")
    command.set_defaults(run=_show)


def _show(options: argparse.Namespace) -> None:
    if options.text is not None and options.store is not None:
        options.usage("STORE and --text exclude each other")
    if options.text is None and options.store is None:
        options.usage("name a STORE, or give a text with --text")
    if options.text is not None:
        encoding = encoding_of(options)
        _print_tokens(encoding.encode_ordinary(options.text), encoding)
        return
    if options.encoding is not None and "encoding" not in options.from_environment:
        options.usage(
            "--encoding goes with --text; the file of a store's encoding, --encoding-file"
        )
    from fastprep.checks.oracles import check_made_with
    from fastprep.store.encodings import encoding_of_store
    from fastprep.store.reader import TokenStore

    found = encoding_of_file(options)
    store = TokenStore(options.store)
    of_store = encoding_of_store(store) if found is None else found
    check_made_with(store, of_store)
    _print_documents(store, of_store, options)


def _print_documents(
    store: TokenStore, encoding: StoreEncoding, options: argparse.Namespace
) -> None:
    pen = Pen(sys.stdout)
    numbers = [number for chosen in options.documents or [0] for number in _chosen(chosen, store)]
    for number in numbers:
        ids = store.document(number).tolist()
        mask = store.document_mask(number).tolist() if store.has_mask else []
        if len(numbers) > 1 or sys.stdout.isatty():
            named = number if number >= 0 else number + store.num_documents
            own = f", {sum(mask):,} of the assistant{' (*)' * options.tokens}" if mask else ""
            pen.print(pen(f"document {named:,}: {counted(len(ids), 'token')}{own}", DIM))
        if options.tokens:
            _print_tokens(ids, encoding, mask)
        else:
            _print_text(store.without_ends(ids), encoding, last=number == numbers[-1])


def _print_text(ids: list[int], encoding: StoreEncoding, *, last: bool) -> None:
    """Print the text of a document: exactly as it was, or escaped."""
    between = b" " if encoding.kind == "words" else b""
    text = between.join(map(encoding.decode_single_token_bytes, ids))
    sys.stdout.flush()
    if sys.stdout.isatty() or not hasattr(sys.stdout, "buffer"):
        print(escaped(text.decode("utf-8", "replace")))
    else:
        sys.stdout.buffer.write(text if last else text + b"\n")


def _print_tokens(ids: Sequence[int], encoding: StoreEncoding, mask: Sequence[int] = ()) -> None:
    """Print tokens; those of which `mask` has a 1 get a mark, since the assistant wrote them."""
    from fastprep.encoding.shown import printable
    from fastprep.encoding.token_html import grouped

    special = frozenset(encoding.special_tokens.values())
    groups = [*grouped(ids, encoding.decode_single_token_bytes)]
    starts = accumulate((len(group.ids) for group in groups), initial=0)
    own = [
        any(mask[start : start + len(group.ids)])
        for start, group in zip(starts, groups, strict=False)
    ]
    pen = Pen(sys.stdout)
    if pen.colours:
        for line in _cells(groups, own, special, pen, columns_of(sys.stdout)):
            pen.print(line)
        return
    for group, is_own in zip(groups, own, strict=True):
        print(f"{_label(group)}\t{printable(group)}" + "\tassistant" * is_own)


def _cells(
    groups: Iterable[TokenGroup],
    own: Iterable[bool],
    special: frozenset[int],
    pen: Pen,
    columns: int,
) -> Iterator[str]:
    """Yield pairs of lines: tokens in colours, and their ids below them."""
    from fastprep.encoding.shown import printable, style_of

    above = below = ""
    used = 0
    for index, (group, is_own) in enumerate(zip(groups, own, strict=True)):
        text, label = printable(group), _label(group) + "*" * is_own
        width = max(_width(text), len(label))
        if used and used + width > columns:
            yield above
            yield below
            above, below, used = "", "", 0
        style = style_of(index, is_special=bool(special.intersection(group.ids)))
        above += pen(text, style) + " " * (width - _width(text) + 1)
        below += pen(label, DIM) + " " * (width - len(label) + 1)
        used += width + 1
        if group.pieces[-1].endswith(b"\n"):  # each line of the text starts a line
            used = columns
    if above:
        yield above
        yield below


def _label(group: TokenGroup) -> str:
    return "+".join(map(str, group.ids))


def _width(text: str) -> int:
    """Return the columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    return sum(
        2 if east_asian_width(character) in "WF" else category(character) not in ("Mn", "Me", "Cf")
        for character in text
    )


def _numbers(text: str) -> int | slice:
    """Parse the number of a document, or a range of them.

    >>> _numbers("-1"), _numbers("2:5"), _numbers(":3")
    (-1, slice(2, 5, None), slice(None, 3, None))
    """
    import argparse

    found = re.fullmatch(r"(-?\d+)?(?:(:)(-?\d+)?)?", text)
    if found is None or not text:
        raise argparse.ArgumentTypeError(
            f"{text!r}: write a number, as 17 or -1, or a range, as 0:3"
        )
    first, colon, last = found.groups()
    if not colon:
        return int(first)
    return slice(int(first) if first else None, int(last) if last else None)


def _chosen(chosen: int | slice, store: TokenStore) -> Iterable[int]:
    if isinstance(chosen, int):
        return (chosen,)
    found = range(*chosen.indices(store.num_documents))
    if not found:
        raise InvalidArgument(f"no document is in that range; there are {store.num_documents:,}")
    return found
