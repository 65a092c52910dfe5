"""Error messages in the words of the command line: ``--overwrite``, not ``overwrite=True``.

The errors of the library name settings as Python code does, and add the option in parentheses where
its name is another one: ``overwrite=True (--overwrite)``. Both are replaced here by the option alone.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fastprep.cli.parser import Parser

_VALUE = r"(?:'[^']*'|\"[^\"]*\"|[\w.]+)"
# A setting as Python writes it, with the option in parentheses after it, or without.
_WITH_OPTION = re.compile(
    rf"\b(?:[a-z]+(?:_[a-z]+)+|[a-z_]+=({_VALUE}(?: or {_VALUE})?)) \((--[a-z-]+)((?: [^ ()]+)?)\)"
)
_AS_NAME = re.compile(r"\bas [a-z]+ \((--[a-z-]+)\)")
_SETTING = re.compile(rf"\b([a-z_]+)=({_VALUE})")
_NAME = re.compile(r"(?<![\w./'\"-])([a-z]+(?:_[a-z]+)+)(?![\w./:'\"(-])")


def in_command_words(message: str, parser: Parser | None = None) -> str:
    """Return a message with the options of a parser in the place of settings of Python.

    >>> in_command_words("pass overwrite=True (--overwrite) to replace it")
    'pass --overwrite to replace it'
    """
    message = message.replace("the same call or command", "the same command")
    message = _AS_NAME.sub(r"as \1", message)
    message = _WITH_OPTION.sub(_option_in_parentheses, message)
    options = {} if parser is None else parser.option_names()

    def option(found: re.Match[str]) -> str:
        name = options.get(found[1])
        return found[0] if name is None else name + _value(found[2] if found.re is _SETTING else "")

    return _NAME.sub(option, _SETTING.sub(option, message))


def _option_in_parentheses(found: re.Match[str]) -> str:
    value, option, written = found.groups()
    return option + (written or _value(value or ""))


def _value(value: str) -> str:
    """Return a value as a command line has it, after a space; nothing for a flag."""
    return "" if value in ("", "True", "False", "None") else " " + value.replace("'", "")
