"""What the options of several commands are made of."""

from __future__ import annotations

import argparse
import re

TYPE_CHECKING = False  # typing.TYPE_CHECKING without typing, which takes long to import
if TYPE_CHECKING:
    from typing import TypeAlias

    from fastprep.store.reader import TokenStore

    # What each command adds itself to; the type has no public name.
    Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "\\": "\\"}


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


def as_json(facts: dict[str, object]) -> str:
    """Facts as one line of JSON.

    Examples
    --------
    >>> as_json({"path": "store", "tokens": 5})
    '{"path":"store","tokens":5}'
    """
    import msgspec

    try:
        return msgspec.json.encode(facts).decode()
    except UnicodeEncodeError:  # a path that is not UTF-8, which ASCII and escapes can tell
        import json

        return json.dumps(facts, separators=(",", ":"))


def counted(count: int, what: str) -> str:
    """How many of something there are.

    Examples
    --------
    >>> counted(1, "shard"), counted(1234, "shard")
    ('1 shard', '1,234 shards')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def contents(store: TokenStore) -> str:
    """What is told of a store that was made."""
    return (
        f"{counted(store.num_tokens, 'token')} in {counted(store.num_documents, 'document')}, "
        f"{counted(len(store.manifest.shards), 'shard')}"
    )


def at_least_one(text: str) -> int:
    """A count as typed.

    Raises
    ------
    argparse.ArgumentTypeError
        for what is no whole number above 0.

    Examples
    --------
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


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does."""


def terminate(*_: object) -> None:
    """Raise Terminated; a handler of SIGTERM."""
    raise Terminated
