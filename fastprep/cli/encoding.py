"""How a command line says which encoding: by its name, or by a file."""

from __future__ import annotations

import argparse

TYPE_CHECKING = False  # typing.TYPE_CHECKING without typing, which takes long to import
if TYPE_CHECKING:
    from fastprep.encoding.encoding import Encoding
    from fastprep.words.encoding import WordEncoding


def add_encoding_options(
    command: argparse.ArgumentParser,
    *,
    by_name: str | None = "default: gpt2",
    words: bool = False,
) -> None:
    """Add ``--encoding``, whose help is `by_name`, and what a file needs; with None the latter alone.

    With `words` there is ``--words``, too: the encoding is then the inputs' own words.
    """
    group = command.add_argument_group("encoding")
    which = group.add_mutually_exclusive_group()
    if by_name is not None:
        which.add_argument("--encoding", metavar="NAME", help=by_name)
    which.add_argument(
        "--encoding-file",
        metavar="FILE",
        help="a tokenizer.json, a .tiktoken file, a vocab.bpe beside its encoder.json, or the "
        "directory of one",
    )
    which.add_argument(
        "--vocab",
        metavar="FILE",
        help="a word tokenizer (SimpleTokenizerV2): one JSON object from words to ids, as a store's "
        "vocabulary.json",
    )
    if words:
        which.add_argument(
            "--words",
            action="store_true",
            help="a word tokenizer whose vocabulary is that of the inputs, which are read twice",
        )
    group.add_argument(
        "--pattern",
        type=_pattern,
        metavar="P",
        help="how a .tiktoken file's text is split: a regular expression, or one of r50k, cl100k, "
        "o200k, llama3, qwen2, qwen35, tekken",
    )
    group.add_argument(
        "--special",
        action="append",
        type=_token_and_id,
        metavar="TOKEN=ID",
        help="a special token of a .tiktoken file; may be repeated",
    )
    group.add_argument(
        "--allow-pattern",
        action="store_true",
        help="run a pattern of a tokenizer.json that is not known; only for files that you trust",
    )


def encoding_of(options: argparse.Namespace) -> Encoding | WordEncoding:
    """The encoding that the options name."""
    from fastprep.registry import get_encoding

    return encoding_of_file(options) or get_encoding(options.encoding or "gpt2")


def encoding_of_file(options: argparse.Namespace) -> Encoding | WordEncoding | None:
    """The encoding in the file that the options name, if they name one."""
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
    # What a pattern does not match is no part of any piece: one that is a word would lose the text.
    if given not in by_family and given.replace("-", "_").isidentifier():
        raise argparse.ArgumentTypeError(
            f"{given!r} is the name of no pattern, and no regular expression that splits text; the "
            f"names are {', '.join(reversed(by_family))}"
        )
    return by_family.get(given, given)


def _token_and_id(text: str) -> tuple[str, int]:
    token, _, number = text.rpartition("=")
    if not token or not number.isascii() or not number.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r}: write TOKEN=ID, as in '<|endoftext|>=100257'")
    return token, int(number)
