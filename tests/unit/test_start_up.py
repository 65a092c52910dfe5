"""First ids of a new process: tables made from halves, and parts that are made when they are needed."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from fastprep import Encoding, get_encoding
from fastprep.errors import BadVocabulary
from fastprep.vocabulary import ranks
from fastprep_ext.base import blake2b
from fastprep_ext.bpe import PATTERNS, Encoder, tokens_of_halves

# Every other byte first, so that a token's row is not its byte; the id 300 is that of no token.
BYTES = [bytes([i]) for i in (*range(0, 256, 2), *range(1, 256, 2))]
PAIRS = [BYTES[i] + BYTES[i + 1] for i in range(60)]
# Of up to 33 bytes: more than are copied at once.
LONG = [PAIRS[0] * 2, PAIRS[0] * 4, PAIRS[0] * 8, PAIRS[0] * 16, PAIRS[0] * 16 + BYTES[2]]


def _table() -> ranks.RankTable:
    tokens = [*BYTES, *PAIRS, *LONG]
    ids = np.array([i + (i >= 300) for i in range(len(tokens))], np.uint32)
    ends = np.cumsum([len(token) for token in tokens], dtype=np.uint64)
    return ranks.RankTable(b"".join(tokens), ends, ids, "")


def _read(data: bytes) -> ranks.RankTable:
    count = int.from_bytes(data[:4], "little")
    ends, ids = np.empty(count, np.uint64), np.empty(count, np.uint32)
    blob, lefts = tokens_of_halves(data, ends, ids)
    return ranks.RankTable(blob, ends, ids, "", lefts, memoryview(data)[268:])


def test_a_table_and_its_halves_make_each_other() -> None:
    table = _table()
    found = _read(ranks.halves_of(table))
    assert found.blob == table.blob
    assert np.array_equal(found.ends, table.ends)
    assert np.array_equal(found.ids, table.ids)
    assert found.lefts == ranks.lefts_of(table)


def test_an_encoder_of_halves_is_that_of_the_table() -> None:
    table = _table()
    found = _read(ranks.halves_of(table))
    plain = Encoder(table.blob, table.ends, table.ids, PATTERNS["r50k"])
    quick = Encoder(
        *(found.blob, found.ends, found.ids, PATTERNS["r50k"]),
        lefts=found.lefts,
        halves=found.halves,
    )
    made = [np.zeros(3 * len(table.ids), np.uint32) for _ in range(2)]
    assert plain.last_merges(made[0]) == quick.last_merges(made[1])
    assert np.array_equal(*made)
    random = np.random.default_rng(1)
    for _ in range(200):
        piece = random.choice([0, 2, 4, 6, 255], random.integers(1, 70)).astype(np.uint8).tobytes()
        assert quick.encode_piece(piece) == plain.encode_piece(piece)
        assert quick.cuts(piece) == plain.cuts(piece)
        assert quick.find(piece[:9]) == plain.find(piece[:9])
    for token, id in table.mergeable_ranks().items():
        assert quick.find(token) == id


def _changed(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: _changed(data, 4, data[4] ^ 1),  # another size in total
        lambda data: _changed(data, 6, 255),
        lambda data: _changed(
            data, 268 + 2 * ((len(data) - 268) // 6), 1
        ),  # a row of 65,536 and more
    ],
)
def test_halves_that_make_no_table_are_refused(change) -> None:
    data = ranks.halves_of(_table())
    ends, ids = (np.empty(int.from_bytes(data[:4], "little"), kind) for kind in ("u8", "u4"))
    with pytest.raises(ValueError, match=r"halves|two before"):
        tokens_of_halves(change(data), ends, ids)


def test_an_encoder_refuses_halves_of_another_table() -> None:
    found = _read(ranks.halves_of(_table()))
    arguments = (found.blob, found.ends, found.ids, PATTERNS["r50k"])
    with pytest.raises(ValueError, match="halves has 6 bytes"):
        Encoder(*arguments, lefts=found.lefts, halves=b"123456")
    with pytest.raises(ValueError, match="it needs lefts"):
        Encoder(*arguments, halves=found.halves)
    later = bytearray(found.halves or b"")
    later[0:1], later[len(later) // 6 : len(later) // 6 + 1] = b"\xff", b"\xff"
    with pytest.raises(BadVocabulary, match="do not spell"):
        Encoder(*arguments, lefts=found.lefts, halves=later)


def test_tables_that_no_file_of_halves_can_hold() -> None:
    table = _table()
    gaps = ranks.RankTable(table.blob, table.ends, table.ids + (table.ids > 270), "")
    with pytest.raises(BadVocabulary, match="no token has the id 271, and none 301"):
        ranks.halves_of(gaps)
    ends = np.cumsum([2, *[1] * 256], dtype=np.uint64)
    later = ranks.RankTable(b"ab" + bytes(range(256)), ends, np.arange(257, dtype=np.uint32), "")
    with pytest.raises(BadVocabulary):
        ranks.halves_of(later)


def test_the_digest_is_blake2b() -> None:
    for size in (0, 1, 127, 128, 129, 255, 256, 257, 1000):
        content = bytes(i % 251 for i in range(size))
        assert blake2b(content) == hashlib.blake2b(content, digest_size=32).digest()


def test_the_decoder_is_made_when_it_is_needed_and_ids_are_checked_before() -> None:
    published = get_encoding("r50k_base")
    made = Encoding._from_recipe(published.recipe)
    assert made.encode("hello world") == [31373, 995]
    assert "_decoder" not in vars(made)
    assert made.decode([31373, 995]) == "hello world"
    assert "_decoder" in vars(made)
    for wrong, error in ((-1, OverflowError), (2**32, OverflowError), ("a", TypeError)):
        with pytest.raises(error):
            Encoding(
                "wrong",
                pat_str=published.pat_str,
                mergeable_ranks={bytes([i]): i for i in range(256)},
                special_tokens={"<a>": wrong, "<b>": 300},  # type: ignore[dict-item]
            )


def test_first_ids_need_few_modules() -> None:
    program = (
        "import sys, fastprep\n"
        "ids = fastprep.get_encoding('o200k_base').encode('hello world')\n"
        "slow = {'collections', 'operator', '_blake2', 'hashlib', 'functools', 'threading', 'struct'}\n"
        "print(ids, slow & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[24912, 2375] set()\n"
