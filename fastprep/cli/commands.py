"""The commands by name, and the help page that lists them.

A command is one line of :data:`COMMANDS` and a function ``add_NAME`` in its module, which gives a
:class:`~fastprep.cli.parser.Parser` its options and sets its default ``run`` to the function that the
options are passed to. Help, completion and the checks of the documentation follow from these.
"""

from __future__ import annotations

from fastprep.cli.usage import DOCUMENTATION, nearest, raise_usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, TextIO

    from fastprep.cli.parser import Parser

#: The module and the summary of each command, in the order of the help.
COMMANDS: dict[str, tuple[str, str]] = {
    "prepare": ("prepare", "encode text files into a token store"),
    "train": ("train", "train a vocabulary on text files"),
    "info": ("info", "show what a token store holds"),
    "show": ("show", "print a document of a store, or the tokens of a text"),
    "verify": ("verify", "check every byte of a token store"),
    "export": ("exchange", "write a token store as the files of another program"),
    "import": ("exchange", "make a token store from the files of another program"),
    "encode": ("encode", "print the token ids of a text"),
    "decode": ("encode", "print the text of token ids"),
    "encodings": ("encodings", "list the encodings that come with fastprep"),
    "bench": ("bench", "compare the tokenizers that are installed on your text"),
    "completion": ("completion", "print a script that completes commands in a shell"),
    "help": ("help", "show the help of a command"),
}
_EXAMPLES = (
    "fastprep prepare 'corpus/*.jsonl' -o store --workers 8",
    "fastprep info store",
    "fastprep encode 'Hello, world' --encoding gpt-4o",
)


def parser_of(name: str) -> Parser:
    """Return the parser of a command; its module is imported.

    >>> parser_of("encode").parse(["some text"]).text
    'some text'
    """
    from fastprep.cli.parser import Parser

    module, summary = COMMANDS[name]
    command = Parser(name, summary)
    # As importlib.import_module, without its import.
    getattr(__import__(f"fastprep.cli.{module}", fromlist=[name]), f"add_{name}")(command)
    return command


def print_overview(stream: TextIO) -> None:
    """Print the help that lists the commands."""
    from fastprep.terminal import BOLD, CYAN, DIM, Pen

    pen = Pen(stream)
    pen.print("Raw text to training batches for language models, exactly as tiktoken.")
    pen.print(f"{pen('usage:', BOLD)} fastprep COMMAND ... | --help | --version")
    pen.print(
        f"\n{pen('commands', BOLD)} (of each: -h is a short help page, --help the complete one)"
    )
    for name, (_, summary) in COMMANDS.items():
        pen.print(f"  {pen(name, CYAN)}{' ' * (12 - len(name))}{summary}")
    pen.print(f"\n{pen('examples', BOLD)}")
    for example in _EXAMPLES:
        pen.print(f"  {example}")
    pen.print(pen(f"documentation: {DOCUMENTATION}", DIM))


def raise_no_command(word: str) -> NoReturn:
    """End with a usage error for a word that is no command."""
    kind = "option" if word.startswith("-") else "command"
    known = (*COMMANDS, "--version", "--help")
    raise_usage(
        f"there is no {kind} {word}{nearest(word, known)}",
        "fastprep COMMAND ...",
        "fastprep --help",
    )
