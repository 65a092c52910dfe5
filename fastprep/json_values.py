"""JSON out of files that anyone may have written: decoded into types, or refused with the place.

A decoder keeps the last of two equal keys and makes an object of every item. So the outline is read
first: what is too much is refused before it costs anything.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from fastprep.errors import BadVocabulary
from fastprep_ext.json_outline import outline

T = TypeVar("T")
Json = bytes | msgspec.Raw

MAX_STRING_BYTES = 1 << 16
ESCAPED = 6  # bytes that a character may take as it is written: \u0041


def decoded(data: Json, type: type[T], place: str) -> T:
    """Decode JSON into `type`; `place` is what an error calls it.

    >>> decoded(b'{"a": 1}', dict[str, int], "an example")
    {'a': 1}

    Raises :class:`~fastprep.errors.BadVocabulary` for what is no JSON, nests too deep, or has
    another type.
    """
    try:
        return msgspec.json.decode(data, type=type)
    except RecursionError:
        raise BadVocabulary(f"{place}: its JSON nests deeper than any vocabulary does") from None
    except UnicodeDecodeError as error:
        raise BadVocabulary(f"{place}: a string is not UTF-8: {error.reason}") from None
    except msgspec.ValidationError as error:
        raise BadVocabulary(f"{place}: {error}; it is no vocabulary file, or damaged") from None
    except msgspec.DecodeError as error:
        raise BadVocabulary(f"{place}: {error}; the file is damaged, or no JSON") from None


def fields(data: Json, place: str) -> dict[str, msgspec.Raw]:
    """The values of a JSON object by key, each not decoded yet.

    >>> list(fields(b'{"a": 1, "b": [2]}', "an example"))
    ['a', 'b']

    Raises :class:`~fastprep.errors.BadVocabulary` also for a key that stands twice.
    """
    keys, _, _ = outline(data, 1)
    if keys > 1000:
        raise BadVocabulary(f"{place}: an object of {keys} keys, where settings should stand")
    found = decoded(data, dict[str, msgspec.Raw], place)
    _refuse_repeated_keys(keys, len(found), place)
    return found


def numbers(data: Json, most: int, place: str) -> dict[str, int]:
    """A JSON object from strings of up to 64 KiB to integers, of `most` keys at most.

    Raises :class:`~fastprep.errors.BadVocabulary` also for a key that stands twice.
    """
    keys, _, longest = outline(data)
    if keys > most:
        raise BadVocabulary(f"{place}: {keys} tokens; the limit is {most}")
    if longest > ESCAPED * MAX_STRING_BYTES:
        raise BadVocabulary(
            f"{place}: a token is written in {longest} bytes; it may have {MAX_STRING_BYTES}"
        )
    found = decoded(data, dict[str, int], place)
    _refuse_repeated_keys(keys, len(found), place)
    return found


def _refuse_repeated_keys(keys: int, different: int, place: str) -> None:
    if keys != different:
        raise BadVocabulary(
            f"{place}: {keys - different} keys stand twice in one object, so its meaning is not "
            "certain; leave one of each out"
        )
