"""The ``fastprep`` command: names, arguments and exit codes around the library's own functions.

Exit codes: 0 when all went well, 1 for an error (one line on stderr), 2 for wrong usage, 130 after
Ctrl-C, 141 when whoever read the output went away.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence

import fastprep
from fastprep.cli_encoding import add_encoding_options, encoding_of, encoding_of_file
from fastprep.cli_neighbours import add_export, add_import
from fastprep.cli_report import add_report_option, write_report_of
from fastprep.errors import FastprepError, InvalidInput, InvalidUtf8

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "\\": "\\"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments
        the words after ``fastprep``; by default those of this process.

    Examples
    --------
    >>> main(["encode", "Hello, world"])
    15496 11 995
    0
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        # A pipe may be found closed only now.
        sys.stdout.flush()
    except (FastprepError, ImportError, OSError, MemoryError) as error:
        if isinstance(error, BrokenPipeError):
            # Python flushes once more on its way out; give it something to flush into.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        print(f"fastprep: error: {_one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fastprep: interrupted", file=sys.stderr)
        return 130
    return 0


def separator(text: str) -> str:
    r"""A separator as typed: ``\n``, ``\r``, ``\t``, ``\0`` and ``\\`` stand for characters.

    Raises
    ------
    argparse.ArgumentTypeError
        for any other backslash.

    Examples
    --------
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fastprep",
        description="Raw text to training batches, exactly as tiktoken.",
        epilog="example: fastprep prepare corpus/*.jsonl -o store && fastprep info store",
    )
    version = f"fastprep {fastprep.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_prepare(commands)
    _add_info(commands)
    _add_verify(commands)
    _add_encode(commands)
    _add_decode(commands)
    add_export(commands)
    add_import(commands)
    return parser


_Commands = argparse._SubParsersAction  # the type has no public name


def _add_prepare(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "prepare",
        help="encode text files into a token store",
        description="Encode .txt and .jsonl files into a token store, in the order given. The "
        "store's bytes depend on the inputs and settings alone, not on the number of workers.",
        epilog=r"example: fastprep prepare books/*.txt -o store --separator '\n\n\n' --workers 8",
    )
    command.add_argument("inputs", nargs="+", metavar="INPUT", help="a .txt or .jsonl file")
    command.add_argument("-o", "--output", required=True, metavar="OUT", help="directory to make")
    between = command.add_mutually_exclusive_group()
    between.add_argument(
        "--separator",
        type=separator,
        default="<|endoftext|>",
        metavar="S",
        help=r"between the documents of a .txt file; \n, \r, \t, \0 and \\ are understood "
        "(default: %(default)s)",
    )
    between.add_argument(
        "--whole-files", action="store_true", help="each .txt file is one document"
    )
    command.add_argument(
        "--field", default="text", metavar="F", help="key of the text in .jsonl (default: text)"
    )
    command.add_argument(
        "--eot",
        default=True,
        metavar="TOKEN",
        help="the special token to put after each document (default: <|endoftext|>)",
    )
    command.add_argument("--no-eot", action="store_true", help="put none")
    command.add_argument(
        "--workers", type=_at_least_one, metavar="N", help="processes (default: one a core)"
    )
    command.add_argument(
        "--shard-bytes",
        type=_at_least_one,
        metavar="N",
        help="about how many bytes of input go into a shard (default: 16 to 256 MiB)",
    )
    command.add_argument("--overwrite", action="store_true", help="replace a store at OUT")
    command.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
    add_encoding_options(command)
    command.set_defaults(run=_prepare, usage=command.error)


def _add_info(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "info",
        help="say what a token store holds",
        description="Say what a token store holds. Only its manifest and file sizes are looked at; "
        "with --report all of it is read, and shown on one page of HTML.",
        epilog="example: fastprep info store --json",
    )
    command.add_argument("store", metavar="STORE", help="the store's directory")
    command.add_argument("--json", action="store_true", help="as one JSON object")
    add_report_option(command)
    command.set_defaults(run=_info, usage=command.error)


def _add_verify(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "verify",
        help="check every byte of a token store",
        description="Check sizes, checksums, ids and document ends of a whole store; with "
        "--against also encode its inputs again by another library and compare id by id.",
        epilog="example: fastprep verify store --against tiktoken --sample 1000",
    )
    command.add_argument("store", metavar="STORE", help="the store's directory")
    command.add_argument(
        "--against",
        choices=["tiktoken", "tokenizers"],
        help="compare with that library; needs the input files",
    )
    command.add_argument(
        "--sample", type=_at_least_one, metavar="N", help="compare N documents, not all"
    )
    command.add_argument("--quiet", action="store_true", help="say nothing when all is well")
    add_encoding_options(command, by_name=False)
    command.set_defaults(run=_verify, usage=command.error)


def _add_encode(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "encode",
        help="text to token ids",
        description="Print the token ids of a text, or of standard input, on one line. The text is "
        "taken as it is, a newline at its end included.",
        epilog="example: printf 'Hello, world' | fastprep encode --encoding gpt2",
    )
    command.add_argument("text", nargs="?", default="-", metavar="TEXT", help="- or none: stdin")
    command.add_argument(
        "--allow-special",
        action="store_true",
        help="encode <|endoftext|> and its like as special tokens, not as ordinary text",
    )
    add_encoding_options(command)
    command.set_defaults(run=_encode, usage=command.error)


def _add_decode(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "decode",
        help="token ids to text",
        description="Print the text of token ids, byte for byte; a newline is added only on a "
        "terminal.",
        epilog="example: fastprep decode 15496 11 995",
    )
    command.add_argument("ids", nargs="*", metavar="IDS", help="none: ids from standard input")
    add_encoding_options(command)
    command.set_defaults(run=_decode, usage=command.error)


# Each command imports what it needs, so that --help and usage errors come at once.


def _prepare(options: argparse.Namespace) -> None:
    from fastprep.preparing import prepare

    store = prepare(
        options.inputs,
        options.output,
        encoding=encoding_of(options),
        separator=None if options.whole_files else options.separator,
        field=options.field,
        append_eot=False if options.no_eot else options.eot,
        workers=options.workers,
        shard_bytes=options.shard_bytes,
        overwrite=options.overwrite,
        progress=False if options.quiet else None,
    )
    if not options.quiet:
        print(
            f"{options.output}: {store.num_tokens:,} tokens in {store.num_documents:,} documents, "
            f"{len(store.manifest.shards):,} shards"
        )


def _info(options: argparse.Namespace) -> None:
    import msgspec

    from fastprep.store import TokenStore

    store = TokenStore(options.store)
    write_report_of(store, options)
    manifest = store.manifest
    inputs = {span.path: span.size for shard in manifest.shards for span in shard.inputs}
    facts = {
        "path": str(store.path),
        "version": manifest.version,
        "tokens": store.num_tokens,
        "documents": store.num_documents,
        "shards": len(manifest.shards),
        "dtype": manifest.dtype,
        "bytes": store.num_tokens * store.dtype.itemsize + store.num_documents * 8,
        "encoding": manifest.encoding.name,
        "n_vocab": manifest.n_vocab,
        "rank_table_sha256": manifest.encoding.rank_table_sha256,
        "unicode_version": manifest.unicode_version,
        "end_token": manifest.end_token,
        "separator": manifest.separator,
        "field": manifest.field,
        "inputs": len(inputs),
        "input_bytes": sum(inputs.values()),
    }
    if options.json:
        print(msgspec.json.encode(facts).decode())
        return
    labels = {
        "version": "format version",
        "n_vocab": "vocabulary",
        "rank_table_sha256": "rank table sha256",
        "unicode_version": "Unicode version",
        "end_token": "end token",
        "input_bytes": "input bytes",
    }
    for name, value in facts.items():
        shown = f"{value:,}" if isinstance(value, int) and name != "end_token" else value
        if name in ("separator", "field") and value is not None:
            shown = repr(value)
        print(f"{labels.get(name, name):<18} {'none' if value is None else shown}")


def _verify(options: argparse.Namespace) -> None:
    from fastprep.verifying import verify

    found = verify(
        options.store,
        against=options.against,
        sample=options.sample,
        encoding=encoding_of_file(options),
    )
    if not options.quiet:
        compared = (
            f", {found.compared:,} compared with {options.against}" if options.against else ""
        )
        print(
            f"{options.store}: good: {found.tokens:,} tokens, {found.documents:,} documents"
            f"{compared}"
        )


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
            raise InvalidInput(f"{word!r} is no token id of {encoding.name}") from None
    sys.stdout.flush()
    sys.stdout.buffer.write(encoding.decode_bytes(ids))
    if sys.stdout.isatty():
        print()


def _standard_input() -> str:
    content = sys.stdin.buffer.read()
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidUtf8(
            f"standard input, byte {error.start}: 0x{content[error.start]:02x} is not UTF-8 there",
            offset=error.start,
        ) from None


def _at_least_one(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: it must be a whole number, 1 or more")
    return number


def _one_line(error: BaseException) -> str:
    message = str(error) or type(error).__name__
    return " ".join(message.split())
