"""From tokens to what encodes with them. What is published is built once and shared."""

from __future__ import annotations

from _thread import allocate_lock

from fastprep.errors import BadVocabulary
from fastprep.vocabulary.patterns import splitter
from fastprep.vocabulary.ranks import RankTable, bundled
from fastprep_ext.bpe import PATTERNS, Encoder, missing_bytes, split_pieces

TYPE_CHECKING = False  # typing.TYPE_CHECKING without typing, which takes long to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from fastprep.encoding.python_encoder import GeneralEncoder

    AnyEncoder: TypeAlias = Encoder | GeneralEncoder

_MOST = 2**32 - 1  # the largest id
_lock = allocate_lock()  # as threading.Lock, whose module takes longer to import than this one
_tables: dict[str, RankTable] = {}
_encoders: dict[tuple[str, int], Encoder] = {}


def published_table(name: str) -> RankTable:
    """A bundled rank table; the same one each time.

    >>> published_table("r50k_base") is published_table("r50k_base")
    True
    """
    with _lock:
        if name not in _tables:
            _tables[name] = bundled(name)
        return _tables[name]


def table_of(mergeable_ranks: dict[bytes, int]) -> RankTable:
    """The rank table of a dict from token to id; a token without bytes is left out.

    >>> table_of({b"b": 1, b"a": 0}).blob
    b'ab'

    If a published table that is in use has the same tokens, it is that one. Raises
    :class:`~fastprep.errors.BadVocabulary` for an id that two tokens have, OverflowError for a
    number that is no id.
    """
    from operator import index

    import numpy as np

    tokens = [token for token in mergeable_ranks if token]
    ids = np.fromiter((index(mergeable_ranks[token]) for token in tokens), np.int64, len(tokens))
    if len(ids) and not 0 <= ids.min() <= ids.max() < _MOST:
        raise OverflowError(f"ids are 0 to {_MOST - 1}; these are {ids.min()} to {ids.max()}")
    if not np.all(ids[1:] > ids[:-1]):
        order = np.argsort(ids, kind="stable")
        ids = ids[order]
        tokens = [tokens[row] for row in order.tolist()]
        if twice := ids[1:][ids[1:] == ids[:-1]].tolist():
            raise BadVocabulary(f"two tokens have the id {twice[0]}; give each its own")
    blob = b"".join(tokens)
    ends = np.cumsum(np.fromiter(map(len, tokens), np.uint64, len(tokens)), dtype=np.uint64)
    for table in list(_tables.values()):
        if (
            table.blob == blob
            and np.array_equal(table.ids, ids)
            and np.array_equal(table.ends, ends)
        ):
            return table
    return RankTable(blob, ends, ids.astype(np.uint32), sha256="")


def encoder_of(table: RankTable, pattern: str) -> AnyEncoder:
    """What encodes with these tokens and this pattern; shared where the table is published."""
    compiled = splitter(pattern)
    missing = missing_bytes(table.blob, table.ends_buffer)
    if compiled is not None and not missing:
        return _compiled(table, compiled)
    import numpy as np

    from fastprep.encoding.python_encoder import GeneralEncoder
    from fastprep.vocabulary.regex_patterns import tiktoken_splitter

    split = tiktoken_splitter(pattern) if compiled is None else _split_with(compiled)
    if not missing:
        return GeneralEncoder(_compiled(table, PATTERNS["r50k"]), split, {})
    # Each missing byte gets a token behind all others, whose id no other has: it tells.
    stand_ins = {_MOST - len(missing) + 1 + i: missing[i : i + 1] for i in range(len(missing))}
    if table.largest >= min(stand_ins):
        raise BadVocabulary(
            f"ids up to {table.largest} leave no room to tell the {len(missing)} bytes that are no "
            f"tokens; use ids below {min(stand_ins)}, or give every byte a token"
        )
    last = np.uint64(len(table.blob))
    encoder = Encoder(
        table.blob + b"".join(stand_ins.values()),
        np.concatenate([table.ends, last + np.arange(1, len(missing) + 1, dtype=np.uint64)]),
        np.concatenate([table.ids, np.array(list(stand_ins), np.uint32)]),
        PATTERNS["r50k"],
    )
    return GeneralEncoder(encoder, split, stand_ins)


def _compiled(table: RankTable, pattern: int) -> Encoder:
    def build() -> Encoder:
        return Encoder(table.blob, table.ends_buffer, table.ids_buffer, pattern, lefts=table.lefts)

    with _lock:
        name = next((name for name, known in _tables.items() if known is table), None)
        if name is None:
            return build()
        if (name, pattern) not in _encoders:
            _encoders[name, pattern] = build()
        return _encoders[name, pattern]


def _split_with(pattern: int) -> Callable[[str], list[str]]:
    def split(text: str) -> list[str]:
        data = text.encode("utf-8")
        ends = split_pieces(data, pattern)
        starts = [0, *ends[:-1]]
        return [data[a:b].decode("utf-8") for a, b in zip(starts, ends, strict=True)]

    return split
