"""The tokens of a vocabulary file as arrays, without a Python object for each of a million."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

import msgspec
import numpy as np
import numpy.typing as npt

from fastprep.errors import BadVocabulary
from fastprep.vocabulary.byte_alphabet import codes_of, json_reader, to_bytes, to_characters
from fastprep.vocabulary.json_values import MAX_AT_ONCE, Json
from fastprep.vocabulary.limits import MAX_ID, MAX_TOKEN_BYTES
from fastprep_ext.bpe import TokenRows

MAX_OTHERS = 1 << 14

_PART_TOKENS = 1 << 16  # that are sorted together


@dataclass(frozen=True, eq=False)
class TokenList:
    """The tokens of a vocabulary file, in the order of their ids.

    Attributes
    ----------
    blob
        their bytes, back to back.
    ends
        uint64 ``[n]``: the offset of each token's end in `blob`.
    ids
        uint32 ``[n]``, increasing.
    others
        tokens with characters outside the byte alphabet, and their ids: no text has such a token.
    empty
        the id of the token without characters, if there is one; likewise.
    rows
        finds tokens by their bytes.
    """

    blob: bytes
    ends: npt.NDArray[np.uint64]
    ids: npt.NDArray[np.uint32]
    others: dict[str, int]
    rows: TokenRows
    empty: int | None = None

    def __len__(self) -> int:
        return len(self.ids) + len(self.others) + (self.empty is not None)

    def has_id(self, id: int) -> bool:
        """Return whether a token has this id."""
        at = int(np.searchsorted(self.ids, id))
        return (
            (at < len(self.ids) and int(self.ids[at]) == id)
            or id in self._ids_of_others
            or id == self.empty
        )

    def ids_of(self, keys: Iterable[str]) -> dict[str, int]:
        """Return the ids of those keys that are tokens."""
        found = {}
        for key in keys:
            row = self.row_of(key)
            if row >= 0:
                found[key] = int(self.ids[row])
            elif key in self.others:
                found[key] = self.others[key]
        return found

    def row_of(self, key: str) -> int:
        """Return the row of a token, or -1."""
        try:
            return self.rows.find(to_bytes(key))
        except UnicodeEncodeError:
            return -1

    @cached_property
    def _ids_of_others(self) -> frozenset[int]:
        return frozenset(self.others.values())


def token_list(parts: Iterable[dict[str, int]], source: str) -> TokenList:
    """Check the tokens of a file, and return them as arrays.

    >>> from fastprep.vocabulary.byte_alphabet import ALPHABET
    >>> letters = {letter: id for id, letter in enumerate(ALPHABET)}
    >>> token_list([letters, {"ab": 256}], "an example").blob[-2:]
    b'ab'

    Raises BadVocabulary naming the token that is wrong.
    """
    blobs: list[bytes] = []
    sizes = [np.empty(0, np.uint64)]
    numbers = [np.empty(0, np.uint32)]
    others: dict[str, int] = {}
    empty: int | None = None
    for part in parts:
        _check_ids(part, source)
        empty = part.pop("", empty)
        try:
            blobs.append(to_bytes("".join(part)))
        except UnicodeEncodeError:
            part_others = {
                key: id for key, id in part.items() if int(codes_of(key).max(initial=0)) > 255
            }
            others |= part_others
            if len(others) > MAX_OTHERS:
                _refuse_other(next(iter(others)), source)
            part = {key: id for key, id in part.items() if key not in part_others}
            blobs.append(to_bytes("".join(part)))
        sizes.append(np.fromiter(map(len, part), np.uint64, len(part)))
        numbers.append(np.fromiter(part.values(), np.uint32, len(part)))
    ends = np.cumsum(np.concatenate(sizes), dtype=np.uint64)
    return _checked(b"".join(blobs), ends, np.concatenate(numbers), others, empty, source)


def token_list_of_json(data: Json, source: str) -> TokenList | None:
    """Return the tokens of a JSON object from tokens to ids, without an object for each.

    None for one that has to be read by :func:`token_list`, which names what is wrong.

    >>> from fastprep.vocabulary.byte_alphabet import ALPHABET
    >>> import json
    >>> letters = {letter: id for id, letter in enumerate(ALPHABET)}
    >>> token_list_of_json(json.dumps({**letters, "ab": 256}).encode(), "an example").blob[-2:]
    b'ab'
    """
    text = memoryview(data)
    if len(text) > MAX_AT_ONCE:
        return None
    most = min(MAX_ID, len(text) // 4) + 1  # each takes five bytes, the last one four
    blob = np.empty(len(text), np.uint8)
    ends, ids = np.empty(most, np.uint64), np.empty(most, np.uint32)
    places = np.empty((MAX_OTHERS, 3), np.uint64)
    count, strange = json_reader().tokens(text, blob, ends, ids, places.ravel())
    if count < 1 or count + strange > MAX_ID:
        return None
    rows = places[:strange].tolist()
    others: dict[str, int] = {msgspec.json.decode(text[a:b], type=str): id for a, b, id in rows}
    if len(others) < strange or max([int(ids[:count].max()), *others.values()]) >= MAX_ID:
        return None
    empty = others.pop("", None)
    found = blob[: int(ends[count - 1])].tobytes()
    try:
        return _checked(found, ends[:count].copy(), ids[:count].copy(), others, empty, source)
    except BadVocabulary:
        return None


def _checked(
    blob: bytes,
    ends: npt.NDArray[np.uint64],
    ids: npt.NDArray[np.uint32],
    others: dict[str, int],
    empty: int | None,
    source: str,
) -> TokenList:
    if not np.all(ids[1:] > ids[:-1]):
        order = np.argsort(ids, kind="stable")
        blob, ends = gathered(blob, ends, order)
        ids = ids.take(order)
    _check(blob, ends, ids, others if empty is None else {**others, "": empty}, source)
    try:
        return TokenList(blob, ends, ids, others, TokenRows(blob, ends), empty)
    except BadVocabulary as error:
        raise BadVocabulary(f"{source}: {error}") from None


def _refuse_other(key: str, source: str) -> NoReturn:
    raise BadVocabulary(
        f"{source}: the token {key!r:.80} has a character that stands for no byte, so this is not a "
        "byte-level vocabulary"
    )


def gathered(
    blob: bytes, ends: npt.NDArray[np.uint64], rows: npt.NDArray[np.intp]
) -> tuple[bytes, npt.NDArray[np.uint64]]:
    """Return the tokens of `rows`, in this order, as a blob and its ends.

    >>> gathered(b"abbccc", np.array([1, 3, 6], np.uint64), np.array([2, 0]))
    (b'ccca', array([3, 4], dtype=uint64))
    """
    data = np.frombuffer(blob, np.uint8)
    stops = ends.astype(np.int64)[rows]
    sizes = (ends - np.concatenate([np.zeros(1, np.uint64), ends[:-1]])).astype(np.int64)[rows]
    parts = []
    for at in range(0, len(rows), _PART_TOKENS):
        size = sizes[at : at + _PART_TOKENS]
        shift = np.repeat(stops[at : at + _PART_TOKENS] - np.cumsum(size), size)
        parts.append(data[np.arange(len(shift)) + shift].tobytes())
    return b"".join(parts), np.cumsum(sizes, dtype=np.uint64)


def _check_ids(part: dict[str, int], source: str) -> None:
    lowest, highest = min(part.values(), default=0), max(part.values(), default=0)
    if lowest < 0 or highest >= MAX_ID:
        raise BadVocabulary(
            f"{source}: the ids go from {lowest} to {highest}; they must be between 0 and {MAX_ID - 1}"
        )


def _check(
    blob: bytes,
    ends: npt.NDArray[np.uint64],
    ids: npt.NDArray[np.uint32],
    others: dict[str, int],
    source: str,
) -> None:
    if not len(ids) + len(others):
        raise BadVocabulary(f"{source}: the vocabulary has no tokens")
    sizes = np.diff(ends, prepend=np.uint64(0))
    if not (sizes == 1).any():
        raise BadVocabulary(
            f"{source}: no single byte is a token, so no text has ids; this is not a byte-level "
            "vocabulary"
        )

    def key(row: int) -> str:
        end = int(ends[row])
        return to_characters(blob[end - int(sizes[row]) : end])

    repeated = np.flatnonzero(ids[1:] == ids[:-1]).tolist()
    pairs = [(key(row), key(row + 1), ids[row]) for row in repeated[:1]]
    seen: dict[int, str] = {}
    for other, id in others.items():
        at = int(np.searchsorted(ids, id))
        if at < len(ids) and ids[at] == id:
            pairs.append((key(at), other, id))
        elif id in seen:
            pairs.append((seen[id], other, id))
        seen[id] = other
    if pairs:
        one, another, id = pairs[0]
        raise BadVocabulary(
            f"{source}: the tokens {one!r:.80} and {another!r:.80} both have the id {id}; give each "
            "token its own id"
        )
    longest = int(sizes.argmax())
    size = max(int(sizes[longest]), max(map(len, others), default=0))
    if size > MAX_TOKEN_BYTES:
        raise BadVocabulary(
            f"{source}: the token {key(longest)[:20]!r}... has {size} bytes; the limit is "
            f"{MAX_TOKEN_BYTES}"
        )
