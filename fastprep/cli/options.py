"""Options and output formats that several commands share."""

from __future__ import annotations

import argparse
import contextlib
import re

from fastprep.errors import (
    BadVocabulary,
    InvalidArgument,
    InvalidInput,
    UnknownEncoding,
    UnknownModel,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fastprep.cli.parser import Parser
    from fastprep.encoding.encoding import Encoding
    from fastprep.store.reader import TokenStore
    from fastprep.words.encoding import WordEncoding

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "\\": "\\"}


def add_encoding_options(
    command: Parser,
    *,
    by_name: str | None = "a name, a model's name or a file; `fastprep encodings` lists them "
    "(default: gpt2)",
    words: bool = False,
) -> None:
    """Add ``--encoding``, with the help `by_name`, and the options for encodings in files.

    With `by_name` None, ``--encoding`` is left out. With `words`, ``--words`` is added: the encoding
    is then made of the words of the inputs.
    """
    group = command.add_argument_group("encoding")
    which = group.add_mutually_exclusive_group()
    if by_name is not None:
        from fastprep.vocabulary.published import PUBLISHED

        which.add_argument("--encoding", metavar="NAME", help=by_name)
        command.completions["encoding"] = tuple(PUBLISHED)
        if "encoding" not in command.variables:
            command.variables = ("encoding", *command.variables)
    which.add_argument(
        "--encoding-file",
        metavar="FILE",
        help="a tokenizer.json, .tiktoken, or vocab.bpe next to its encoder.json, or the directory "
        "of one",
    )
    which.add_argument(
        "--vocab",
        metavar="FILE",
        help="a word tokenizer: one JSON object from words to ids, as a store's vocabulary.json",
    )
    if words:
        which.add_argument(
            "--words",
            action="store_true",
            help="a word tokenizer with the words of the inputs, which are read twice",
        )
    group.add_argument(
        "--pattern",
        type=_pattern,
        metavar="P",
        help="how a .tiktoken file splits text: r50k, cl100k, o200k, llama3, qwen2, qwen35, tekken, or "
        "a regular expression",
    )
    group.add_argument(
        "--special",
        action="append",
        type=_token_and_id,
        metavar="TOKEN=ID",
        help="a special token of a .tiktoken file; may be repeated",
    )
    # An old option without use: any pattern of a tokenizer.json is run.
    group.add_argument("--allow-pattern", action="store_true", help=argparse.SUPPRESS)


def encoding_of(options: argparse.Namespace) -> Encoding | WordEncoding:
    """Return the encoding that the options name; end with a usage error for an unknown name."""
    from fastprep.model import MODEL_TO_ENCODING, encoding_for_model, is_vocabulary_file
    from fastprep.registry import get_encoding, list_encoding_names

    name = options.encoding
    if name and is_vocabulary_file(name):
        options.encoding, options.encoding_file = None, name
    found = encoding_of_file(options)
    if found is not None:
        return found
    name = name or "gpt2"
    with contextlib.suppress(UnknownEncoding):
        return get_encoding(name)
    try:
        return encoding_for_model(name)
    except UnknownModel:
        from fastprep.cli.usage import nearest

        names = list_encoding_names()
        hint = nearest(name, [*names, *MODEL_TO_ENCODING]) or f"; there are {', '.join(names)}"
        options.usage(f"--encoding: {name!r} is no encoding, model or file{hint}")
        raise


def encoding_of_file(options: argparse.Namespace) -> Encoding | WordEncoding | None:
    """Return the encoding in the file that the options name, or None if they name none.

    Raises InvalidInput if there is no such file.
    """
    try:
        return _encoding_of_file(options)
    except FileNotFoundError as error:
        raise InvalidInput(f"{error.filename}: no such file; check the path") from None


def _encoding_of_file(options: argparse.Namespace) -> Encoding | WordEncoding | None:
    if options.encoding_file is None:
        for name in ("pattern", "special", "allow_pattern"):
            if getattr(options, name):
                options.usage(f"--{name.replace('_', '-')} goes with --encoding-file")
        if options.vocab is None:
            return None
        from fastprep.words.encoding import WordEncoding

        return WordEncoding.from_file(options.vocab)
    from fastprep.encoding.encoding import Encoding

    return Encoding.from_file(
        options.encoding_file,
        pat_str=options.pattern,
        special_tokens=dict(options.special) if options.special else None,
        allow_pattern=options.allow_pattern,
    )


def _pattern(given: str) -> str:
    from fastprep.vocabulary.patterns import TIKTOKEN

    by_family = {family: pattern for pattern, family in reversed(TIKTOKEN.items())}
    # Text between matches of a pattern is lost, so an unknown name must not be taken for one.
    if given not in by_family and given.replace("-", "_").isidentifier():
        raise argparse.ArgumentTypeError(
            f"{given!r} is not the name of a pattern, and as a regular expression it would lose text; "
            f"the names are {', '.join(reversed(by_family))}"
        )
    if given not in by_family:
        from fastprep.vocabulary.regex_program import compile_tiktoken

        try:
            compile_tiktoken(given)
        except BadVocabulary as error:
            raise argparse.ArgumentTypeError(str(error)) from None
    return by_family.get(given, given)


def _token_and_id(text: str) -> tuple[str, int]:
    token, _, number = text.rpartition("=")
    if not token or not number.isascii() or not number.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r}: write TOKEN=ID, as in '<|endoftext|>=100257'")
    return token, int(number)


def add_eot_options(command: argparse._ActionsContainer) -> None:
    """Add ``--eot`` and ``--eot-token``."""
    command.add_argument(
        "--eot",
        choices=["append", "prepend", "none"],
        default="append",
        help="where each document has its end token (default: append)",
    )
    command.add_argument(
        "--eot-token",
        metavar="TOKEN",
        help="the special token to use as end token (default: <|endoftext|>)",
    )


def add_separator_options(command: argparse._ActionsContainer) -> None:
    """Add ``--separator`` and ``--whole-files``."""
    between = command.add_mutually_exclusive_group()
    between.add_argument(
        "--separator",
        type=separator,
        default="<|endoftext|>",
        metavar="S",
        help=r"text between the documents of a .txt file; \n, \r, \t, \0 and \\ are escapes "
        "(default: %(default)s)",
    )
    between.add_argument(
        "--whole-files",
        action="store_const",
        dest="separator",
        const=None,
        help="read each .txt file as one document",
    )


def add_message_options(command: argparse.ArgumentParser) -> None:
    """Add ``--quiet`` and ``--log``."""
    messages = command.add_argument_group("messages")
    messages.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
    messages.add_argument(
        "--log", choices=["json"], help="print events on stderr, one JSON object per line"
    )


def add_format_options(command: argparse._ActionsContainer) -> None:
    """Add ``--format`` and ``--zstd-window``."""
    command.add_argument(
        "--format",
        metavar="F",
        help="format of files whose names do not say it, and of standard input, as jsonl.gz; of a "
        "folder or archive, read only these files",
    )
    command.add_argument(
        "--zstd-window",
        type=at_least_one,
        metavar="LOG",
        help="largest window of .zst files, as in zstd --long=LOG; up to 31 (default: 27)",
    )


def separator(text: str) -> str:
    r"""Parse a separator, in which ``\n``, ``\r``, ``\t``, ``\0`` and ``\\`` are escapes.

    Raises argparse.ArgumentTypeError for any other backslash, and for an empty separator.

    >>> separator(r"\n\n")
    '\n\n'
    """
    unknown = re.search(r"\\(?![nrt0\\])", re.sub(r"\\\\", "", text))
    if unknown or not text:
        raise argparse.ArgumentTypeError(
            f"{text!r}: write \\n, \\r, \\t, \\0 or \\\\ for a backslash"
            if text
            else "it is empty; use --whole-files to read each file as one document"
        )
    return re.sub(r"\\(.)", lambda match: _ESCAPES[match[1]], text)


def at_least_one(text: str) -> int:
    """Parse a count; raise argparse.ArgumentTypeError if it is not a whole number above 0.

    >>> at_least_one("8")
    8
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: it must be a whole number, 1 or more")
    return number


def size(text: str) -> int:
    """Parse a size in bytes; raise argparse.ArgumentTypeError if it is not one.

    >>> size("10MB"), size("256MiB")
    (10000000, 268435456)
    """
    from fastprep.system.sizes import number_of_bytes

    try:
        # Digits alone are a number of bytes, too.
        return number_of_bytes(text, "it")
    except InvalidArgument as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def part_of_documents(text: str) -> float:
    """Parse a fraction of the documents; raise argparse.ArgumentTypeError if it is not one.

    >>> part_of_documents("1%"), part_of_documents("0.01")
    (0.01, 0.01)
    """
    from fastprep.system.sizes import fraction

    try:
        return fraction(text, "it", "; --validation-documents takes a number of documents")
    except InvalidArgument as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def seed(text: str) -> int:
    """Parse a seed; raise argparse.ArgumentTypeError if it is not a number of 64 bits.

    >>> seed("7")
    7
    """
    if not (text.isascii() and text.isdigit()) or int(text) >> 64:
        raise argparse.ArgumentTypeError(
            f"{text!r}: it must be a whole number from 0 to {(1 << 64) - 1}"
        )
    return int(text)


def share(text: str) -> tuple[int, int]:
    """Parse a share of the work, I/N; raise argparse.ArgumentTypeError if it is not one.

    >>> share("0/4")
    (0, 4)
    """
    found = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    if found is None or int(found[1]) >= int(found[2]):
        raise argparse.ArgumentTypeError(
            f"{text!r}: write I/N, as in 0/4 for the first of four shares; I goes from 0 to N - 1"
        )
    return int(found[1]), int(found[2])


def as_json(facts: dict[str, object]) -> str:
    """Format facts as one line of JSON.

    >>> as_json({"path": "store", "tokens": 5})
    '{"path":"store","tokens":5}'
    """
    import msgspec

    try:
        return msgspec.json.encode(facts).decode()
    except UnicodeEncodeError:  # a path that is not UTF-8, which ASCII with escapes can represent
        import json

        return json.dumps(facts, separators=(",", ":"))


def counted(count: int, noun: str) -> str:
    """Format a count with its noun.

    >>> counted(1, "shard"), counted(1234, "shard")
    ('1 shard', '1,234 shards')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size_of(store: TokenStore) -> int:
    """Return the bytes of a store's ids, document ends and mask."""
    from fastprep.store.manifest import bytes_of

    return bytes_of(store.head, store.num_tokens, store.num_documents)


def in_units(count: float, unit: str) -> str:
    """Format a number with three digits and a prefix of its unit.

    >>> in_units(448_123_456, "B"), in_units(0.5, "B/s"), in_units(1_500, " tokens/s")
    ('448 MB', '0.5 B/s', '1.5k tokens/s')
    """
    prefixes = iter(("", "k", "M", "G", "T"))
    prefix = next(prefixes)
    while count >= 999.5:
        count /= 1000
        prefix = next(prefixes, "P")
    digits = f"{count:.3g}"
    return f"{digits}{prefix}{unit}" if unit.startswith(" ") else f"{digits} {prefix}{unit}"


def duration(seconds: float) -> str:
    """Format a time as people say it.

    >>> duration(0.0123), duration(83.2), duration(7300)
    ('0.012 s', '1 min 23 s', '2 h 1 min')
    """
    if seconds < 59.5:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def contents(store: TokenStore) -> str:
    """Summarize the contents of a store."""
    return (
        f"{counted(store.num_tokens, 'token')} in {counted(store.num_documents, 'document')}, "
        f"{counted(store.num_shards, 'shard')}"
    )
