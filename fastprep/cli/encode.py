"""``fastprep encode`` and ``fastprep decode``: text to token ids and back."""

from __future__ import annotations

import argparse
import sys

from fastprep.cli.options import add_encoding_options, encoding_of
from fastprep.errors import InvalidInput, InvalidUtf8
from fastprep.terminal import escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fastprep.cli.parser import Parser


def add_encode(command: Parser) -> None:
    """Add the options of ``encode``."""
    command.description = (
        "Print the token ids of a text, or of standard input, on one line. The text is encoded as it "
        "is, including a newline at its end."
    )
    command.examples = (
        "fastprep encode 'Hello, world' --encoding gpt-4o",
        "printf 'Hello, world' | fastprep encode",
    )
    command.add_argument(
        "text", nargs="?", default="-", metavar="TEXT", help="- or nothing: standard input"
    )
    command.add_argument(
        "--allow-special",
        action="store_true",
        help="encode <|endoftext|> and other special tokens as such, not as ordinary text",
    )
    add_encoding_options(command)
    command.set_defaults(run=_encode)


def add_decode(command: Parser) -> None:
    """Add the options of ``decode``."""
    command.description = (
        "Print the text of token ids, byte for byte. On a terminal control characters are escaped, and "
        "a newline is added."
    )
    command.examples = (
        "fastprep decode 15496 11 995",
        "fastprep encode 'Hello, world' | fastprep decode",
    )
    command.add_argument("ids", nargs="*", metavar="IDS", help="nothing: ids from standard input")
    add_encoding_options(command)
    command.set_defaults(run=_decode)


def _encode(options: argparse.Namespace) -> None:
    encoding = encoding_of(options)
    text = _standard_input("text") if options.text == "-" else options.text
    if options.allow_special:
        ids = encoding.encode(text, allowed_special="all")
    else:
        ids = encoding.encode_ordinary(text)
    print(*ids)


def _decode(options: argparse.Namespace) -> None:
    encoding = encoding_of(options)
    ids = []
    for word in options.ids or _standard_input("token ids").split():
        try:
            ids.append(int(word))
            encoding.decode_single_token_bytes(ids[-1])
        except (ValueError, KeyError, OverflowError):
            raise InvalidInput(f"{word!r} is not a token id of {encoding.name}") from None
    text = encoding.decode_bytes(ids)
    if sys.stdout.isatty():
        print(escaped(text.decode("utf-8", "replace")))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(text)


def _standard_input(what: str) -> str:
    """Read standard input to its end; on a terminal, say first that it is awaited."""
    if sys.stdin.isatty():
        print(
            f"fastprep: reading {what} from the terminal; end it with Ctrl-D on a new line",
            file=sys.stderr,
            flush=True,
        )
    content = sys.stdin.buffer.read()
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidUtf8(
            f"standard input, byte {error.start}: 0x{content[error.start]:02x} is not UTF-8 there",
            offset=error.start,
        ) from None
