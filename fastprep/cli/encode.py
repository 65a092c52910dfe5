"""``fastprep encode`` and ``fastprep decode``: text to token ids and back."""

from __future__ import annotations

import argparse
import sys

from fastprep.cli.options import add_encoding_options, encoding_of
from fastprep.errors import InvalidInput, InvalidUtf8
from fastprep.terminal import escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fastprep.cli.options import Commands


def add(commands: Commands) -> None:
    """Add both commands."""
    _add_encode(commands)
    _add_decode(commands)


def _add_encode(commands: Commands) -> None:
    command = commands.add_parser(
        "encode",
        help="text to token ids",
        description="Print the token ids of a text, or of standard input, on one line. The text is "
        "encoded as it is, including a newline at its end.",
        epilog="example: printf 'Hello, world' | fastprep encode --encoding gpt2",
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
    command.set_defaults(run=_encode, usage=command.error)


def _add_decode(commands: Commands) -> None:
    command = commands.add_parser(
        "decode",
        help="token ids to text",
        description="Print the text of token ids, byte for byte. On a terminal control characters "
        "are escaped, and a newline is added.",
        epilog="example: fastprep decode 15496 11 995",
    )
    command.add_argument("ids", nargs="*", metavar="IDS", help="nothing: ids from standard input")
    add_encoding_options(command)
    command.set_defaults(run=_decode, usage=command.error)


def _encode(options: argparse.Namespace) -> None:
    encoding = encoding_of(options)
    text = _standard_input() if options.text == "-" else options.text
    if options.allow_special:
        ids = encoding.encode(text, allowed_special="all")
    else:
        ids = encoding.encode_ordinary(text)
    print(*ids)


def _decode(options: argparse.Namespace) -> None:
    encoding = encoding_of(options)
    ids = []
    for word in options.ids or _standard_input().split():
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


def _standard_input() -> str:
    content = sys.stdin.buffer.read()
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidUtf8(
            f"standard input, byte {error.start}: 0x{content[error.start]:02x} is not UTF-8 there",
            offset=error.start,
        ) from None
