"""JSON out of files that anyone may have written: decoded into types, or refused with the place.

A decoder keeps the last of two equal keys and makes an object of every item. So the outline is read
first: what is too much is refused before it costs anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TypeVar

import msgspec
import numpy as np

from fastprep.errors import BadVocabulary
from fastprep_ext.base import json_commas, json_outline

T = TypeVar("T")
Json = bytes | msgspec.Raw

NULL = msgspec.Raw(b"null")
MAX_STRING_BYTES = 1 << 16
ITEMS = 1 << 14  # in a part
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
    keys, _, _ = json_outline(data, 1)
    if keys > 1000:
        raise BadVocabulary(f"{place}: an object of {keys} keys, where settings should stand")
    found = decoded(data, dict[str, msgspec.Raw], place)
    _refuse_repeated_keys(keys, len(found), place)
    return found


def settings(found: dict[str, msgspec.Raw], type: type[T], large: Collection[str], place: str) -> T:
    """What :func:`fields` found, decoded into `type` as if null stood for the keys in `large`.

    >>> settings(fields(b'{"a": 1, "b": [2, 3]}', "x"), dict[str, int | None], ["b"], "x")
    {'a': 1, 'b': None}
    """
    small = {key: NULL if key in large else value for key, value in found.items()}
    return decoded(msgspec.json.encode(small), type, place)


def number_parts(data: Json, most: int, place: str) -> Iterator[dict[str, int]]:
    """A JSON object from strings to integers, some keys at a time.

    There may be `most` keys at most, of 64 KiB at most. A million str and int at once would take a
    quarter of a gigabyte.

    >>> list(number_parts(b'{"a": 1, "b": 2}', 10, "an example"))
    [{'a': 1, 'b': 2}]

    Raises :class:`~fastprep.errors.BadVocabulary` also for a key that stands twice in a part.
    """
    keys, _, longest = json_outline(data)
    if keys > most:
        raise BadVocabulary(f"{place}: {keys} tokens; the limit is {most}")
    if longest > ESCAPED * MAX_STRING_BYTES:
        raise BadVocabulary(
            f"{place}: a token is written in {longest} bytes; it may have {MAX_STRING_BYTES}"
        )
    # All parts but the last have as many.
    left = keys
    for part in _parts(data, most):
        found = decoded(part, dict[str, int], place)
        _refuse_repeated_keys(min(ITEMS, left), len(found), place)
        left -= ITEMS
        yield found


def string_parts(data: Json, most: int, place: str) -> Iterator[list[str | tuple[str, str]]]:
    """A JSON array of strings and pairs of strings, some at a time; `most` of them at most."""
    _, commas, _ = json_outline(data)
    if commas > 2 * most:
        raise BadVocabulary(f"{place}: {commas} or more merges; the limit is {most}")
    for part in _parts(data, 2 * most):
        yield decoded(part, list[str | tuple[str, str]], place)


def _parts(data: Json, most: int) -> Iterator[Json]:
    """A JSON array or object as several, of so many items each."""
    places = np.empty(most // ITEMS + 1, np.uint64)
    count = json_commas(data, ITEMS, places)
    if count == 0:
        yield data
        return
    view = memoryview(data)
    opening = bytes(view[: int(places[0])]).lstrip()[:1]
    closing = b"}" if opening == b"{" else b"]"
    start = 0
    for number, end in enumerate(places[:count].tolist()):
        yield (opening if number else b"") + bytes(view[start:end]) + closing
        start = end + 1
    last = bytes(view[start:])
    # A comma with nothing behind it is an error, which an empty part would hide.
    yield opening + (b"," if len(last.strip()) < 2 else b"") + last


def _refuse_repeated_keys(keys: int, different: int, place: str) -> None:
    if keys != different:
        raise BadVocabulary(
            f"{place}: {keys - different} keys stand twice in one object, so its meaning is not "
            "certain; leave one of each out"
        )
