"""Text that goes on: ids of a text whose last bytes may belong to another token once more follow.

Two questions of that kind have published answers, and these are they: which ids are certain and
what may come to stand in place of the rest, and what the ids of bytes are that end within a
character. Both take back the tokens of the last piece.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping, Sequence

from fastprep_ext.base import unicode_class

Merge = Callable[[bytes], list[int]]


def unsettled(ids: Sequence[int], in_last_piece: int, token: Callable[[int], bytes]) -> int:
    r"""How many of the last tokens may change: those of the last piece, and blank ones before them.

    Where a run of whitespace is cut depends on what follows it, so such tokens change together.

    >>> names = [b"a", b"\n", b" "]
    >>> unsettled([0, 1, 2], 1, names.__getitem__)
    2
    """

    def blank(token_id: int) -> bool:
        return not token(token_id).strip(b" \n\t")

    count = in_last_piece
    if count and blank(ids[-count]):
        while count < len(ids) and blank(ids[-count - 1]):
            count += 1
    return count


def completions(
    rest: bytes,
    tokens: Sequence[bytes],
    token_ids: Mapping[bytes, int],
    encode: Callable[[str], list[int]],
    merge: Merge,
) -> set[tuple[int, ...]]:
    """Sequences of ids that may come to stand for the bytes `rest` when more text follows.

    Parameters
    ----------
    rest
        the bytes of the tokens that may change.
    tokens
        all tokens but special ones, sorted.
    token_ids
        the id of each.
    encode, merge
        the ids of a text, and of bytes by merging alone.

    Every token that reaches over the end is tried at every place where it can begin. A sequence
    ends with the token that does.

    >>> ids = {b"a": 0, b"b": 1, b"ab": 2, b"bb": 3}
    >>> def merge(piece): return [ids[piece]] if piece in ids else [ids[piece[:1]], ids[piece[1:]]]
    >>> sorted(completions(b"ab", sorted(ids), ids, lambda text: merge(text.encode()), merge))
    [(0, 3), (2,)]
    """
    if not rest:
        return set()
    lengths = {token_id: len(token) for token, token_id in token_ids.items()}
    found: set[tuple[int, ...]] = {(token_ids[token],) for token in _beginning_with(rest, tokens)}
    for at in range(1, len(rest)):
        for token in _beginning_with(rest[at:], tokens):
            longer = rest[:at] + token
            try:
                ids = encode(longer.decode("utf-8"))
            except UnicodeDecodeError:
                ids = merge(longer)
            found.add(_as_far_as(len(rest), ids, lengths))
    if (last := _last_blank(rest)) and last < len(rest):
        # A character of whitespace at the end is cut off where none of it is given back.
        found.add((*merge(rest[:-last]), *merge(rest[-last:])))
    return found


def cut_bytes(
    data: bytes,
    encode: Callable[[str], list[int]],
    in_last_piece: Callable[[bytes], int],
    token: Callable[[int], bytes],
    encode_piece: Merge,
) -> list[int]:
    """The ids of bytes of which only a first part is UTF-8.

    What follows that part is taken for one piece with the end of it; `in_last_piece` says how many
    ids the last piece of a text has.
    """
    try:
        return encode(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        valid = error.start
    ids = encode(data[:valid].decode("utf-8"))
    count = unsettled(ids, in_last_piece(data[:valid]), token)
    certain = len(ids) - count
    piece = b"".join(map(token, ids[certain:])) + data[valid:]
    return ids[:certain] + encode_piece(piece)


def _beginning_with(prefix: bytes, tokens: Sequence[bytes]) -> Sequence[bytes]:
    first = last = bisect.bisect_left(tokens, prefix)
    while last < len(tokens) and tokens[last].startswith(prefix):
        last += 1
    return tokens[first:last]


def _as_far_as(size: int, ids: Sequence[int], lengths: Mapping[int, int]) -> tuple[int, ...]:
    for number, token_id in enumerate(ids):
        size -= lengths[token_id]
        if size <= 0:
            return tuple(ids[: number + 1])
    return tuple(ids)


def _last_blank(data: bytes) -> int:
    """The length in bytes of the last character, if it is whitespace; else 0."""
    for size in range(1, min(4, len(data)) + 1):
        try:
            character = data[-size:].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return size if unicode_class(ord(character)) == "SPACE" else 0
    return 0
