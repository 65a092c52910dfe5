"""Decoder of JSON from untrusted files: typed values, or an error with the place.

A JSON decoder keeps the last of two equal keys and makes an object per item. Therefore the outline is
read first, and files that are too large are refused before they take memory.
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
MAX_KEYS = 1000  # of an object of settings
PART_ITEMS = 1 << 14
MAX_AT_ONCE = 3 << 23  # bytes that are read without parts: more than any vocabulary in use has
ESCAPE_BYTES = 6  # of a character written as \u0041


def decoded(data: Json, type: type[T], place: str) -> T:
    """Decode JSON into `type`; `place` is its name in errors.

    >>> decoded(b'{"a": 1}', dict[str, int], "an example")
    {'a': 1}

    Raises BadVocabulary for a value that is not JSON, nests too deep, or has another type.
    """
    try:
        return msgspec.json.decode(data, type=type)
    except RecursionError:
        raise BadVocabulary(f"{place}: its JSON nests deeper than any vocabulary does") from None
    except UnicodeDecodeError as error:
        raise BadVocabulary(f"{place}: a string is not UTF-8: {error.reason}") from None
    except msgspec.ValidationError as error:
        raise BadVocabulary(
            f"{place}: {error}; it is not a vocabulary file, or it is damaged"
        ) from None
    except msgspec.DecodeError as error:
        raise BadVocabulary(f"{place}: {error}; the file is damaged, or not JSON") from None


def fields(data: Json, place: str) -> dict[str, msgspec.Raw]:
    """Return the values of a JSON object by key, not decoded yet.

    >>> list(fields(b'{"a": 1, "b": [2]}', "an example"))
    ['a', 'b']

    Raises BadVocabulary also for a repeated key.
    """
    keys, _, _ = json_outline(data, 1)
    if keys > MAX_KEYS:
        raise BadVocabulary(f"{place}: an object of {keys} keys, where settings are expected")
    found = decoded(data, dict[str, msgspec.Raw], place)
    _refuse_repeated_keys(keys, len(found), place)
    return found


def settings(found: dict[str, msgspec.Raw], type: type[T], large: Collection[str], place: str) -> T:
    """Decode the values of :func:`fields` into `type`, with null for the keys in `large`.

    >>> settings(fields(b'{"a": 1, "b": [2, 3]}', "x"), dict[str, int | None], ["b"], "x")
    {'a': 1, 'b': None}
    """
    small = {key: NULL if key in large else value for key, value in found.items()}
    return decoded(msgspec.json.encode(small), type, place)


def number_parts(data: Json, max_keys: int, place: str) -> Iterator[dict[str, int]]:
    """Decode a JSON object from strings to integers, in parts.

    It may have `max_keys` keys of 64 KiB. A million str and int at once would take a quarter of a
    gigabyte.

    >>> list(number_parts(b'{"a": 1, "b": 2}', 10, "an example"))
    [{'a': 1, 'b': 2}]

    Raises BadVocabulary also for a key that is repeated in a part.
    """
    keys, _, longest = json_outline(data)
    if keys > max_keys:
        raise BadVocabulary(f"{place}: {keys} tokens; the limit is {max_keys}")
    if longest > ESCAPE_BYTES * MAX_STRING_BYTES:
        raise BadVocabulary(
            f"{place}: a token is written in {longest} bytes; the limit is {MAX_STRING_BYTES}"
        )
    # All parts but the last have PART_ITEMS keys.
    left = keys
    for part in _parts(data, max_keys):
        found = decoded(part, dict[str, int], place)
        _refuse_repeated_keys(min(PART_ITEMS, left), len(found), place)
        left -= PART_ITEMS
        yield found


def string_parts(data: Json, max_items: int, place: str) -> Iterator[list[str | tuple[str, str]]]:
    """Decode a JSON array of at most `max_items` strings and pairs of strings, in parts."""
    _, commas, _ = json_outline(data)
    if commas > 2 * max_items:
        raise BadVocabulary(f"{place}: {commas} or more merges; the limit is {max_items}")
    for part in _parts(data, 2 * max_items):
        yield decoded(part, list[str | tuple[str, str]], place)


def _parts(data: Json, max_items: int) -> Iterator[Json]:
    """Divide a JSON array or object into several of PART_ITEMS items each."""
    places = np.empty(max_items // PART_ITEMS + 1, np.uint64)
    count = json_commas(data, PART_ITEMS, places)
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
    # A comma at the end is an error, which an empty part would hide.
    yield opening + (b"," if len(last.strip()) < 2 else b"") + last


def _refuse_repeated_keys(keys: int, different: int, place: str) -> None:
    if keys != different:
        raise BadVocabulary(
            f"{place}: {keys - different} keys are there twice in one object, so its meaning is not "
            "certain; leave one of each out"
        )
