"""Rank tables: which byte strings are tokens, and in which order they merge.

The bundled tables are the published files, byte for byte, and each is bundled a second time as the
halves of its tokens, from which a process has it sooner: in 21 % of the instructions for o200k. That
file is checked by its hash before it is used; a table is loaded once per process.
"""

from __future__ import annotations

import os
from _thread import allocate_lock

from fastprep.errors import BadVocabulary
from fastprep_ext.base import blake2b, map_file, uninitialized
from fastprep_ext.bpe import parse_tiktoken, tokens_of_halves

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    import numpy.typing as npt

#: The folder of the bundled rank files.
BUNDLED = os.path.join(os.path.dirname(__file__), "vocabularies")  # noqa: PTH118, PTH120

#: sha256 of each bundled rank file, as its publisher pins it.
SHA256 = {
    "r50k_base": "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
    "p50k_base": "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}

# BLAKE2b of the ``.halves`` file of each table, which :func:`halves_of` makes. Loading OpenSSL for
# sha256 would add 4.5 ms to start-up. Tests check the sha256 of the published files, and that both
# are one table.
_BLAKE2B = {
    "r50k_base.halves": "4c062eb177fc4b8d5a8acad119d91fa11a32ca833a8efdaa066b4c2e889dedee",
    "p50k_base.halves": "613939b59c17297ca224d8f0b3da7935d72be55bd294620e8e186b4c8b241b94",
    "cl100k_base.halves": "821b3faf70d1456765a9f647ffd9ac8d32212642ad69d16762a42fa215a9b190",
    "o200k_base.halves": "68219a0b272d7f61051ef926f421415bef07c6d86988b2808bee78b0310bce13",
}

# The single bytes are the first tokens in a file of halves, and before them are three numbers.
_BYTES = 256
_HEADER = 12 + _BYTES

#: Ids are below this number.
MAX_RANK = 2**32 - 1

#: The bundled tables that are in use, by name.
PUBLISHED_TABLES: dict[str, RankTable] = {}
_lock = allocate_lock()


class RankTable:
    """Mergeable tokens of a vocabulary, in the order of their ids.

    Parameters
    ----------
    blob
        the bytes of all tokens, back to back.
    ends
        buffer of uint64 ``[n]``: the offset of each token's end in `blob`.
    ids
        buffer of uint32 ``[n]``: the id of each token, increasing. A smaller id merges first.
    sha256
        of the table as a ``.tiktoken`` file, in hexadecimal; empty if it has not been computed,
        which takes longer than everything else (:func:`sha256_of`).
    lefts
        ``[n]`` lengths of the left of the two tokens that merge into each token, if they are known
        (:func:`lefts_of`).
    halves
        ``[6 * (n - 256)]`` the two tokens that merge into each token, as their file has them, if
        they are known (:func:`halves_of`).
    """

    __slots__ = ("blob", "ends_buffer", "halves", "ids_buffer", "lefts", "sha256")

    blob: bytes
    ends_buffer: memoryview[int]
    ids_buffer: memoryview[int]
    sha256: str
    lefts: bytes | None
    halves: memoryview | None

    def __init__(
        self,
        blob: bytes,
        ends: Any,
        ids: Any,
        sha256: str,
        lefts: bytes | None = None,
        halves: memoryview | None = None,
    ) -> None:
        self.blob = blob
        self.ends_buffer = memoryview(ends)
        self.ids_buffer = memoryview(ids)
        self.sha256 = sha256
        self.lefts = lefts
        self.halves = halves

    def __reduce__(self) -> tuple[Any, ...]:
        return RankTable, (self.blob, self.ends, self.ids, self.sha256, self.lefts)

    @property
    def ends(self) -> npt.NDArray[np.uint64]:
        """Return `ends` as an array."""
        import numpy as np

        return np.asarray(self.ends_buffer)

    @property
    def ids(self) -> npt.NDArray[np.uint32]:
        """Return `ids` as an array."""
        import numpy as np

        return np.asarray(self.ids_buffer)

    @property
    def largest(self) -> int:
        """Return the largest id."""
        return int(self.ids_buffer[-1])

    def mergeable_ranks(self) -> dict[bytes, int]:
        """Return the table as tiktoken's dict from token bytes to rank.

        >>> bundled("r50k_base").mergeable_ranks()[b" hello"]
        23748
        """
        ends = self.ends_buffer.tolist()
        starts = [0, *ends[:-1]]
        tokens = (self.blob[start:end] for start, end in zip(starts, ends, strict=True))
        return dict(zip(tokens, self.ids_buffer.tolist(), strict=True))


def parse(data: bytes, name: str, sha256: str = "") -> RankTable:
    """Read the bytes of a ``.tiktoken`` file; `name` is its name in errors, `sha256` its known hash.

    >>> parse(b"YQ== 0\\nYg== 1\\nYWI= 2\\n", "three tokens").mergeable_ranks()
    {b'a': 0, b'b': 1, b'ab': 2}

    Raises BadVocabulary for a line that is not ``base64 rank``, with its number, and for repeated
    ids.
    """
    lines = data.count(b"\n") + 1
    ends = memoryview(bytearray(8 * lines)).cast("Q")
    ids = memoryview(bytearray(4 * lines)).cast("I")
    try:
        count, blob, increasing = parse_tiktoken(data, ends, ids)
    except ValueError as error:
        raise BadVocabulary(f"{name}, {error}; it is not a .tiktoken file, or damaged") from None
    if not increasing:
        raise BadVocabulary(f"{name}: ranks are not in increasing order; sort its lines by rank")
    if not sha256:
        import hashlib

        sha256 = hashlib.sha256(data).hexdigest()
    return RankTable(blob, ends[:count], ids[:count], sha256)


def bundled(name: str) -> RankTable:
    """Load the rank table `name` that comes with the package.

    >>> len(bundled("r50k_base").ids)
    50256

    Raises BadVocabulary if the file is not the published one.
    """
    data = _read(f"{name}.halves")
    count = int.from_bytes(data[:4], "little")
    ends, ids = uninitialized(8 * count).cast("Q"), uninitialized(4 * count).cast("I")
    blob, lefts = tokens_of_halves(data, ends, ids)
    return RankTable(blob, ends, ids, SHA256[name], lefts, data[_HEADER:])


def published_table(name: str) -> RankTable:
    """Return a bundled rank table; all calls share one.

    >>> published_table("r50k_base") is published_table("r50k_base")
    True
    """
    _lock.acquire()
    try:
        if name not in PUBLISHED_TABLES:
            PUBLISHED_TABLES[name] = bundled(name)
        return PUBLISHED_TABLES[name]
    finally:
        _lock.release()  # by a with statement, this would need memory


def table_of(mergeable_ranks: dict[bytes, int]) -> RankTable:
    """Return the rank table of a dict from token to id, without the token that has no bytes.

    >>> table_of({b"b": 1, b"a": 0}).blob
    b'ab'

    It is a published table if one that is in use has the same tokens. Raises BadVocabulary if two
    tokens have the same id, OverflowError for a number that is not an id.
    """
    from operator import index

    import numpy as np

    tokens = [token for token in mergeable_ranks if token]
    ids = np.fromiter((index(mergeable_ranks[token]) for token in tokens), np.int64, len(tokens))
    if len(ids) and not 0 <= ids.min() <= ids.max() < MAX_RANK:
        raise OverflowError(f"ids are 0 to {MAX_RANK - 1}; these are {ids.min()} to {ids.max()}")
    if not np.all(ids[1:] > ids[:-1]):
        order = np.argsort(ids, kind="stable")
        ids = ids.take(order)
        tokens = [tokens[row] for row in order.tolist()]
        if repeated := ids[1:][ids[1:] == ids[:-1]].tolist():
            raise BadVocabulary(f"two tokens have the id {repeated[0]}; give each its own")
    blob = b"".join(tokens)
    ends = np.cumsum(np.fromiter(map(len, tokens), np.uint64, len(tokens)), dtype=np.uint64)
    for table in list(PUBLISHED_TABLES.values()):
        if (
            table.blob == blob
            and np.array_equal(table.ids, ids)
            and np.array_equal(table.ends, ends)
        ):
            return table
    return RankTable(blob, ends, ids.astype(np.uint32), sha256="")


def _read(name: str) -> memoryview:
    """Map a bundled file, as the system maps the modules beside it, and check its hash."""
    # Without pathlib: its import takes longer than reading the file.
    path = os.path.join(BUNDLED, name)  # noqa: PTH118
    with open(path, "rb") as file:  # noqa: PTH123
        size = os.fstat(file.fileno()).st_size
        data = map_file(file.fileno(), size) if size else memoryview(b"")
    found, expected = blake2b(data).hex(), _BLAKE2B[name]
    if found != expected:
        raise BadVocabulary(
            f"{path}: its BLAKE2b hash is {found}, that of the published file {expected}; "
            "reinstall fastprep"
        )
    return data


def lefts_of(table: RankTable) -> bytes:
    """Return for each token the length of the left of the two that merge into it; 0 for a byte.

    Raises BadVocabulary if a token is not a merge of two tokens before it, or if a left one has more
    than 255 bytes.

    >>> from base64 import b64encode
    >>> table = parse(b"".join(b"%s %d\\n" % (b64encode(bytes([i])), i) for i in range(256)), "bytes")
    >>> lefts_of(table) == bytes(256)
    True
    """
    import numpy as np

    sizes = np.diff(table.ends, prepend=np.uint64(0))
    rows = _last_merges(table)
    lefts = np.zeros(len(sizes), np.uint64)
    lefts[rows[:, 2]] = sizes[rows[:, 0]]
    if np.any((lefts == 0) != (sizes == 1)) or np.any(lefts > 255):
        raise BadVocabulary(
            "a token is not a merge of two tokens before it, or of one of 256 bytes or more"
        )
    return lefts.astype(np.uint8).tobytes()


def halves_of(table: RankTable) -> bytes:
    """Return a table as a file of halves, which ``fastprep_ext/bpe/halves.pxd`` describes.

    Finding the two tokens that merge into each token takes longer than everything else about a
    vocabulary, so there is such a file for each bundled table. Raises BadVocabulary for a table of
    which :func:`lefts_of` has no lengths, whose first 256 tokens are not the bytes, or whose ids
    have two gaps.

    >>> len(halves_of(bundled("r50k_base")))
    300268
    """
    import numpy as np

    lefts_of(table)
    rows = _last_merges(table)
    if len(rows) != len(table.ends) - _BYTES or table.ends[_BYTES - 1] != _BYTES:
        raise BadVocabulary("the first 256 tokens are not the single bytes")
    skipped = np.setdiff1d(np.arange(table.largest), table.ids).tolist() or [MAX_RANK]
    if len(skipped) > 1:
        raise BadVocabulary(f"no token has the id {skipped[0]}, and none {skipped[1]}")
    planes = rows[:, :2].T.astype("<u4").copy().view("u1").reshape(2, -1, 4)
    return b"".join(
        (
            np.array([len(table.ids), len(table.blob), *skipped], "<u4").tobytes(),
            table.blob[:_BYTES],
            planes[:, :, :3].transpose(0, 2, 1).tobytes(),
        )
    )


def _last_merges(table: RankTable) -> npt.NDArray[np.uint32]:
    """Return rows of two tokens and the token that they merge into."""
    import numpy as np

    from fastprep_ext.bpe import PATTERNS, Vocabulary

    vocabulary = Vocabulary(table.blob, table.ends_buffer, table.ids_buffer, PATTERNS["r50k"])
    out = np.empty(3 * len(table.ids), np.uint32)
    return out[: 3 * vocabulary.last_merges(out)].reshape(-1, 3)


def sha256_of(table: RankTable) -> str:
    """Return the sha256 of a table written as a ``.tiktoken`` file.

    >>> sha256_of(bundled("r50k_base")) == bundled("r50k_base").sha256
    True
    """
    import hashlib

    return hashlib.sha256(to_tiktoken(table)).hexdigest()


def to_tiktoken(table: RankTable) -> bytes:
    """Return a table as the content of a ``.tiktoken`` file.

    >>> to_tiktoken(table_of({b"b": 1, b"a": 0}))
    b'YQ== 0\\nYg== 1\\n'
    """
    import base64

    ranks = table.mergeable_ranks()
    return b"".join(b"%s %d\n" % (base64.b64encode(token), ranks[token]) for token in ranks)
