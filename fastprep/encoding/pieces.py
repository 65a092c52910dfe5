"""Incomplete text: ids of a text whose last bytes may become part of other tokens as it grows.

Two questions about such text have published answers: which ids are certain and what may replace the
others (:func:`encode_with_unstable`), and the ids of bytes that end within a character
(:func:`encode_bytes`). Both take back the tokens of the last piece.
"""

from __future__ import annotations

import bisect

from fastprep.errors import TextIsChanged
from fastprep_ext.base import unicode_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import TypeAlias

    from fastprep.encoding.encoders import AnyEncoder
    from fastprep.vocabulary.recipe import Recipe
    from fastprep_ext.bpe import Specials

    Merge: TypeAlias = Callable[[bytes], list[int]]


def check_unchanged(recipe: Recipe, data: bytes | None = None) -> None:
    """Raise TextIsChanged if the pieces of a text need not be parts of it, unless `data` is UTF-8."""
    if recipe.is_plain:
        return
    if data is not None:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            return
    raise TextIsChanged(
        "this encoding changes text before it splits it (normal form C, a space before it, or added "
        "tokens that are cut out), so more text may change any of its ids: there is no "
        "encode_with_unstable, and no ids for bytes that end within a character; encode whole texts"
    )


def encode_with_unstable(
    text: str,
    encoder: AnyEncoder,
    specials: Specials | None,
    token: Callable[[int], bytes],
    special_ids: Collection[int],
    tokens: Sequence[bytes],
    token_ids: Mapping[bytes, int],
) -> tuple[list[int], list[list[int]]]:
    """Return the certain ids of `text`, and what may follow; see ``Encoding.encode_with_unstable``.

    `token` returns the bytes of an id; `tokens` and `token_ids` are those of :func:`completions`.
    """

    def ordinary(token_id: int) -> bytes:
        # A special token is not whitespace, even if it is spelled so.
        return b"special" if token_id in special_ids else token(token_id)

    ids = encoder.encode(text, specials)
    data = text.encode("utf-8")
    cuts = specials.cut(data) if specials is not None else []
    in_last_piece = _ids_in_last_piece(encoder, data[cuts[-1][1] if cuts else 0 :])
    if not in_last_piece:
        return ids, []
    count = unsettled(ids, in_last_piece, ordinary)
    rest = b"".join(map(token, ids[-count:]))
    found = completions(
        rest,
        tokens,
        token_ids,
        encoder.encode,
        lambda piece: encoder.merge_piece(piece, "heap"),
    )
    return ids[:-count], [list(sequence) for sequence in found]


def encode_bytes(data: bytes, encoder: AnyEncoder, token: Callable[[int], bytes]) -> list[int]:
    """Return the ids of bytes of which only a first part is UTF-8.

    The bytes after that part form one piece with the end of it.
    """
    try:
        return encoder.encode(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        valid = error.start
    ids = encoder.encode(data[:valid].decode("utf-8"))
    count = unsettled(ids, _ids_in_last_piece(encoder, data[:valid]), token)
    certain = len(ids) - count
    piece = b"".join(map(token, ids[certain:])) + data[valid:]
    return ids[:certain] + encoder.encode_piece(piece)


def _ids_in_last_piece(encoder: AnyEncoder, part: bytes) -> int:
    last = part[encoder.last_piece(part) :]
    return len(encoder.encode_piece(last)) if last else 0


def unsettled(ids: Sequence[int], in_last_piece: int, token: Callable[[int], bytes]) -> int:
    r"""Count the last tokens that may change: those of the last piece, and blank ones before them.

    The split of a run of whitespace depends on what follows it, so such tokens change together.

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
    """Return the sequences of ids that the bytes `rest` may have once more text follows.

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

    Every token that extends past the end is tried at every position where it can start. A sequence
    ends with that token.

    >>> ids = {b"a": 0, b"b": 1, b"ab": 2, b"bb": 3}
    >>> def merge(piece): return [ids[piece]] if piece in ids else [ids[piece[:1]], ids[piece[1:]]]
    >>> sorted(completions(b"ab", sorted(ids), ids, lambda text: merge(text.encode()), merge))
    [(0, 3), (2,)]
    """
    if not rest:
        return set()
    lengths = {token_id: len(token) for token, token_id in token_ids.items()}
    found: set[tuple[int, ...]] = {(token_ids[token],) for token in _with_prefix(rest, tokens)}
    for at in range(1, len(rest)):
        for token in _with_prefix(rest[at:], tokens):
            longer = rest[:at] + token
            try:
                ids = encode(longer.decode("utf-8"))
            except UnicodeDecodeError:
                ids = merge(longer)
            found.add(_covering(len(rest), ids, lengths))
    if (last := _last_blank(rest)) and last < len(rest):
        # A whitespace character at the end is split off if none of it is given back.
        found.add((*merge(rest[:-last]), *merge(rest[-last:])))
    return found


def _with_prefix(prefix: bytes, tokens: Sequence[bytes]) -> Sequence[bytes]:
    first = last = bisect.bisect_left(tokens, prefix)
    while last < len(tokens) and tokens[last].startswith(prefix):
        last += 1
    return tokens[first:last]


def _covering(size: int, ids: Sequence[int], lengths: Mapping[int, int]) -> tuple[int, ...]:
    """Return the shortest prefix of `ids` that spells at least `size` bytes."""
    for number, token_id in enumerate(ids):
        size -= lengths[token_id]
        if size <= 0:
            return tuple(ids[: number + 1])
    return tuple(ids)


def _last_blank(data: bytes) -> int:
    """Return the length in bytes of the last character if it is whitespace, else 0."""
    for size in range(1, min(4, len(data)) + 1):
        try:
            character = data[-size:].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return size if unicode_class(ord(character)) == "SPACE" else 0
    return 0
