"""The parser of a command: argparse with own help pages, error messages and environment variables.

argparse is the parser that starts fastest: 13 ms of CPU for a command with three options, and no
more for its help page. The same command takes 20 and 130 ms with rich-argparse, 100 and 260 ms with
rich-click, 145 and 400 ms with cyclopts, and 360 and 375 ms with typer. All of ``fastprep encode``
takes 25.
"""

from __future__ import annotations

import argparse
import os
import sys

from fastprep.cli.usage import DOCUMENTATION, nearest, raise_usage
from fastprep.terminal import BOLD, CYAN, DIM, Pen, columns_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, NoReturn

_MAX_COLUMNS = 100  # longer lines are hard to read
_LEFT = 26  # columns of names, before their help
_YES_AND_NO = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
# What argparse says, and what fastprep says instead.
_OWN_WORDS = (
    ("expected one argument", "a value must follow it"),
    ("ignored explicit argument", "it takes no value, but got"),
    ("not allowed with argument ", "cannot be used with "),
)


class _Help(argparse.Action):
    """The options ``-h``, the short page, and ``--help``, the complete one."""

    def __call__(
        self, parser: argparse.ArgumentParser, _: object, __: object, option: str | None = None
    ) -> None:
        assert isinstance(parser, Parser)
        parser.print_page(short=option == "-h")
        parser.exit()


class Parser(argparse.ArgumentParser):
    """The parser of one command.

    Attributes
    ----------
    examples
        command lines for the end of the help page.
    common
        the names of the options that the short help page has; without any it has all.
    variables
        the options that may be set by an environment variable, ``FASTPREP_`` and their name. They are
        those of a machine or of a habit; inputs, outputs, and what replaces data are not among them.
    completions
        words to complete the values of options with, where these are not all the possible ones.

    >>> command = Parser("count", "count words")
    >>> _ = command.add_argument("--workers", type=int, metavar="N", help="cores to use")
    >>> command.variables = ("workers",)
    >>> command.parse(["--workers", "2"]).workers
    2
    """

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(prog=f"fastprep {name}", add_help=False, allow_abbrev=False)
        self.summary: str = f"{summary[0].upper()}{summary[1:]}"
        self.description: str | None = f"{self.summary}."
        self.examples: Sequence[str] = ()
        self.common: Sequence[str] = ()
        self.variables: Sequence[str] = ()
        self.completions: dict[str, Sequence[str]] = {}
        self.set_defaults(usage=self.error, parser=self)

    # -- words to values ---------------------------------------------------------------------------

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse the words after the command's name; end with a usage error if they are wrong."""
        self._add_help()
        self._check_options(words)
        variables: dict[str, tuple[argparse.Action, str, object]] = {}
        for action in self._actions:
            text = os.environ.get(variable_of(action.dest)) if action.dest in self.variables else ""
            if text:
                variables[action.dest] = (action, text, action.default)
                # Kept only if no option has that name on the command line.
                action.default = argparse.SUPPRESS
        options = self.parse_args(list(words))
        options.from_environment = {name for name in variables if not hasattr(options, name)}
        for name, (action, text, default) in variables.items():
            action.default = default
            if name in options.from_environment:
                setattr(options, name, self._value_of(action, text))
        return options

    def _add_help(self) -> None:
        if "--help" not in self._option_string_actions:
            self.add_argument(
                "-h", "--help", action=_Help, nargs=0, default=argparse.SUPPRESS, help="this page"
            )

    def _check_options(self, words: Sequence[str]) -> None:
        """End with an error for an option that there is not, before others say that one is missing."""
        known = self._option_string_actions
        for word in words:
            if word == "--":
                return
            name = word.partition("=")[0]
            if word[:1] != "-" or word == "-" or " " in word or name in known:
                continue
            if word[1].isdigit() or (word[1] != "-" and word[:2] in known):
                continue  # a number, or the value after the name's letter
            self.error(f"there is no option {name}{nearest(name, known)}")

    def _value_of(self, action: argparse.Action, text: str) -> object:
        """Return the value of an environment variable; end with an error that names it if it is bad."""
        try:
            if action.nargs == 0:
                if text.lower() not in _YES_AND_NO:
                    raise argparse.ArgumentError(action, f"{text!r}: write 1 or 0")
                return _YES_AND_NO[text.lower()]
            value = self._get_value(action, text)
            self._check_value(action, value)
        except argparse.ArgumentError as error:
            self.error(f"{variable_of(action.dest)}: {error.message}")
        return value

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = list(map(str, action.choices))
            raise argparse.ArgumentError(
                action,
                f"{value!r} is none of {', '.join(choices)}{nearest(str(value), choices)}",
            )

    def actions(self) -> list[argparse.Action]:
        """Return the options and words of the command, without those that are not shown."""
        self._add_help()
        return [action for action in self._actions if action.help != argparse.SUPPRESS]

    def option_words(self) -> list[str]:
        """Return the names of the options that are shown."""
        return [option for action in self.actions() for option in action.option_strings]

    def help_of(self, action: argparse.Action) -> str:
        """Return the help of an option."""
        return (action.help or "") % {"default": action.default}

    def option_names(self) -> dict[str, str]:
        """Return the longest name of each option, by the name that it has in Python."""
        named = [action for action in self._actions if action.option_strings]
        return {action.dest: max(action.option_strings, key=len) for action in reversed(named)}

    # -- errors ------------------------------------------------------------------------------------

    def error(self, message: str) -> NoReturn:
        """Print two lines, what is wrong and where the help is, and exit with status 2."""
        raise_usage(_in_own_words(message), self.usage_line(), f"{self.prog} --help")

    # -- the help page -----------------------------------------------------------------------------

    def usage_line(self) -> str:
        """Return the form of a command line."""
        words = [self.prog]
        for action in self._actions:
            if not action.option_strings:
                words.append(_placeholder(action))
            elif action.required:
                words += [action.option_strings[0], _value_name(action)]
        return " ".join([*words, "[options]"])

    def print_page(self, *, short: bool = False) -> None:
        """Print the help page, or a short one with the common options."""
        self._add_help()
        pen = Pen(sys.stdout)
        for line in self.page(pen, min(columns_of(sys.stdout), _MAX_COLUMNS), short=short):
            pen.print(line)

    def page(self, pen: Pen, columns: int, *, short: bool = False) -> Iterator[str]:
        """Yield the lines of the help page."""
        shown = self.actions()
        short = short and bool(self.common)
        yield from _wrapped(f"{self.summary}." if short else str(self.description), columns)
        yield ""
        yield f"{pen('usage:', BOLD)} {self.usage_line()}"
        for title, actions in self._sections(short):
            if any(action in shown for action in actions):
                yield ""
                yield pen(title, BOLD)
            for action in actions:
                if action in shown:
                    yield from self._entry(action, pen, columns, short)
        if short:
            yield ""
            yield f"{pen('all options:', BOLD)} {self.prog} --help"
        elif self.variables:
            yield ""
            yield pen("environment variables", BOLD)
            names = ", ".join(map(variable_of, self.variables))
            text = f"{names}: used where the command line does not have the option"
            yield from (f"  {line}" for line in _wrapped(text, columns - 2))
        if self.examples:
            yield ""
            yield pen("examples", BOLD)
            yield from (f"  {example}" for example in self.examples)
        if not short:
            yield ""
            yield pen(f"documentation: {DOCUMENTATION}", DIM)

    def _sections(self, short: bool) -> Iterator[tuple[str, list[argparse.Action]]]:
        """Yield the titles and options of the sections; of the short page, words and options."""
        words, *groups = self._action_groups
        yield "arguments", words._group_actions
        if not short:
            yield from ((str(group.title), group._group_actions) for group in groups)
            return
        by_name = {action.dest: action for action in self._actions}
        yield "options", [by_name[name] for name in self.common]

    def _entry(self, action: argparse.Action, pen: Pen, columns: int, short: bool) -> Iterator[str]:
        """Yield the lines of an option; on the short page with the first half of its help."""
        names = ", ".join(action.option_strings)
        value = _value_name(action) if action.option_strings else ""
        plain = f"{names} {value}".rstrip() if names else _placeholder(action)
        painted = f"{pen(names, CYAN)} {pen(value, DIM)}".rstrip() if names else pen(plain, CYAN)
        text = self.help_of(action)
        lines = list(_wrapped(text.partition(";")[0] if short else text, columns - _LEFT)) or [""]
        if len(plain) > _LEFT - 4:
            yield f"  {painted}"
        else:
            yield f"  {painted}{' ' * (_LEFT - 2 - len(plain))}{lines.pop(0)}".rstrip()
        yield from (" " * _LEFT + line for line in lines)


def variable_of(name: str) -> str:
    """Return the environment variable of an option.

    >>> variable_of("shard_bytes")
    'FASTPREP_SHARD_BYTES'
    """
    return f"FASTPREP_{name.upper()}"


def _in_own_words(message: str) -> str:
    """Return an error of argparse as fastprep says it."""
    if message.startswith("argument "):
        names, _, rest = message.removeprefix("argument ").partition(": ")
        message = f"{_longest(names)}: {rest}"
    missing = message.removeprefix("the following arguments are required: ")
    if missing != message:
        which = [_longest(name) for name in missing.split(", ")]
        message = f"{' and '.join(which)} {'is' if len(which) == 1 else 'are'} missing"
    for theirs, ours in _OWN_WORDS:
        if theirs in message:
            before, _, after = message.partition(theirs)
            message = f"{before}{ours}{_longest(after)}"
    return message.replace("unrecognized arguments:", "too many words:")


def _longest(names: str) -> str:
    """Return the longest name of an option that argparse writes as ``-o/--output``."""
    return max(names.split("/"), key=len) if names.startswith("-") else names


def _value_name(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices is not None and action.metavar is None:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest.upper())


def _placeholder(action: argparse.Action) -> str:
    name = _value_name(action)
    if action.nargs == "*":
        return f"[{name}...]"
    return {"?": f"[{name}]", "+": f"{name}..."}.get(str(action.nargs), name)


def _wrapped(text: str, columns: int) -> Iterator[str]:
    """Yield the words of a text in lines of at most `columns`, unless a word is longer."""
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > columns:
            yield line
            line = ""
        line = f"{line} {word}" if line else word
    if line:
        yield line
