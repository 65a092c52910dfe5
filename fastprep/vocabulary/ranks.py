"""Rank tables: which byte strings are tokens, and in which order they merge.

The bundled tables are the published files, byte for byte. Each is checked by its hash before it is
used, and is loaded once per process.
"""

from __future__ import annotations

import os.path
from _thread import allocate_lock

from fastprep.errors import BadVocabulary
from fastprep_ext.bpe import parse_tiktoken

try:  # as hashlib.blake2b, without OpenSSL
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

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

# BLAKE2b of each bundled file and of the ``.lefts`` file beside it, which :func:`lefts_of` makes.
# Loading OpenSSL for sha256 would add 4.5 ms to start-up. Tests check the files' sha256, too.
_BLAKE2B = {
    "r50k_base.tiktoken": "cc1773ef36586d874e5cd34b17eaf1d90af78538176aa13754bdd86324e76f8a",
    "r50k_base.lefts": "90d877576bfb57d3e62d418c9acf95798ec9f0f685ece9549b655fea4bddef5c",
    "p50k_base.tiktoken": "807113c6cb403448346125c2ef8eed7ea209860f24f0d5cd90b5ab1aff1a1e7d",
    "p50k_base.lefts": "d6458d920c818cdc76f97eeb180ec56f3d52e6cac2e85f0e62df438a496005c0",
    "cl100k_base.tiktoken": "83e434e6793c47aeb66c8893e1c89f8e65917403c181c68fd9bebf2a620b8e0e",
    "cl100k_base.lefts": "d1c7a1fe073937efba249b9b1e8103b75500032b4bfdfdcae1456e62182aedb4",
    "o200k_base.tiktoken": "f9b67f3cbcb1bac2ad2910b7abb13e85ce55e9975ca31d2d00f5e3c071476496",
    "o200k_base.lefts": "83735dc44731ae48303923b8358ba8f2910e1616bf39c015ed0890f894d1331f",
}

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
    """

    __slots__ = ("blob", "ends_buffer", "ids_buffer", "lefts", "sha256")

    blob: bytes
    ends_buffer: memoryview[int]
    ids_buffer: memoryview[int]
    sha256: str
    lefts: bytes | None

    def __init__(
        self, blob: bytes, ends: Any, ids: Any, sha256: str, lefts: bytes | None = None
    ) -> None:
        self.blob = blob
        self.ends_buffer = memoryview(ends)
        self.ids_buffer = memoryview(ids)
        self.sha256 = sha256
        self.lefts = lefts

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
    path, data = _read(f"{name}.tiktoken")
    table = parse(data, path, SHA256[name])
    table.lefts = _read(f"{name}.lefts")[1]
    return table


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


def _read(name: str) -> tuple[str, bytes]:
    # Without pathlib: its import takes longer than reading the file.
    path = os.path.join(BUNDLED, name)  # noqa: PTH118
    with open(path, "rb") as file:  # noqa: PTH123
        data = file.read()
    found, expected = blake2b(data, digest_size=32).hexdigest(), _BLAKE2B[name]
    if found != expected:
        raise BadVocabulary(
            f"{path}: its BLAKE2b hash is {found}, that of the published file {expected}; "
            "reinstall fastprep"
        )
    return path, data


def lefts_of(table: RankTable) -> bytes:
    """Return for each token the length of the left of the two that merge into it; 0 for a byte.

    Finding them takes longer than everything else about a vocabulary, so there is a ``.lefts`` file of
    these bytes for each bundled table. Raises BadVocabulary if a token is not a merge of two tokens
    before it, or if a left one has more than 255 bytes.

    >>> from base64 import b64encode
    >>> table = parse(b"".join(b"%s %d\\n" % (b64encode(bytes([i])), i) for i in range(256)), "bytes")
    >>> lefts_of(table) == bytes(256)
    True
    """
    import numpy as np

    from fastprep_ext.bpe import PATTERNS, Vocabulary

    vocabulary = Vocabulary(table.blob, table.ends_buffer, table.ids_buffer, PATTERNS["r50k"])
    sizes = np.diff(table.ends, prepend=np.uint64(0))
    out = np.empty(3 * len(sizes), np.uint32)
    rows = out[: 3 * vocabulary.last_merges(out)].reshape(-1, 3)
    lefts = np.zeros(len(sizes), np.uint64)
    lefts[rows[:, 2]] = sizes[rows[:, 0]]
    if np.any((lefts == 0) != (sizes == 1)) or np.any(lefts > 255):
        raise BadVocabulary(
            "a token is not a merge of two tokens before it, or of one of 256 bytes or more"
        )
    return lefts.astype(np.uint8).tobytes()


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
