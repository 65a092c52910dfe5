"""The table of pieces: counts of any size, pieces of any length, and many pieces in a line."""

from __future__ import annotations

import random
from array import array
from collections import Counter
from collections.abc import Iterable

import pytest

from fastprep_ext.base import Rows
from fastprep_ext.trainer import PieceCounter, list_records

SEEDS = array("Q", [0x9D3C5A7716E2B841, 0x3F84D5B5B5470917])


def counter() -> PieceCounter:
    """Return a table of whole texts."""
    return PieceCounter(None, False, SEEDS)


def count(table: PieceCounter, texts: Iterable[bytes]) -> None:
    """Count texts as pieces."""
    rows = Rows()
    for number, text in enumerate(texts):
        rows.append(text, number)
    table.count(rows, None)


def found(table: PieceCounter) -> dict[bytes, int]:
    """Return all counts, which the table forgets."""
    records = table.records()
    return dict(list_records(records, 0, len(records) + 1)[0])


def test_counts_may_exceed_32_bits_while_a_table_grows() -> None:
    draw = random.Random(1)
    sizes = (1, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, (1 << 50) + 7, 1 << 62)
    counts = {b"%d" % (number * 7919): draw.choice(sizes) for number in range(30_000)}
    table = counter()
    table.add_items(list(counts.items())[:5_000], None)
    table.add_items(list(counts.items())[5_000:], None)
    assert len(table) == len(counts)
    assert found(table) == counts
    assert found(table) == {}


def test_a_count_passes_32_bits_by_ones() -> None:
    pieces = (b"a", b"b", b"a piece of more than 15 bytes")
    table = counter()
    table.add_items([(piece, (1 << 32) - 2) for piece in pieces], None)
    count(table, pieces * 4)
    assert found(table) == dict.fromkeys(pieces, (1 << 32) + 2)


def test_sums_of_large_counts() -> None:
    tables = [counter(), counter()]
    for table in tables:
        table.add_items([(b"%d" % number, (1 << 40) + number) for number in range(5_000)], None)
    total: dict[bytes, int] = {}
    for part in range(3):
        sums = counter()
        sums.add_part(tables, part, 3)
        total |= found(sums)
    assert total == {b"%d" % number: 2 * ((1 << 40) + number) for number in range(5_000)}


@pytest.mark.parametrize("large", [1 << 62, (1 << 63) - 1])
def test_a_sum_of_2_to_the_63_is_refused(large: int) -> None:
    tables = [counter(), counter()]
    for table in tables:
        table.add_items([(b"piece", large)], None)
    with pytest.raises(OverflowError):
        counter().add_part(tables, 0, 1)


def test_pieces_of_any_length() -> None:
    draw = random.Random(2)
    lengths = [1, 7, 8, 9, 15, 16, 17, 65_534, 65_535, 65_536, 70_000, 300_000]
    texts = []
    for length in lengths:
        text = draw.randbytes(length)
        texts += [text, text, text[:-1] + bytes([text[-1] ^ 1]), bytes([text[0] ^ 1]) + text[1:]]
    table = counter()
    # A table grows after its long pieces were put there.
    for start in range(0, len(texts), 5):
        count(table, texts[start : start + 5])
    count(table, [b"%d" % number for number in range(10_000)])
    count(table, texts)
    expected = Counter(texts * 2) + Counter(b"%d" % number for number in range(10_000))
    assert found(table) == expected


@pytest.mark.parametrize("size", [4, 15, 16, 40])
def test_frequent_pieces_that_come_late(size: int) -> None:
    draw = random.Random(size)
    pieces = [b"%0*d" % (size, number) for number in range(2_200)]
    texts = pieces[:]
    for number, piece in enumerate(pieces):
        texts += [piece] * (number // 150)
    draw.shuffle(texts)
    table = counter()
    count(table, pieces + texts)
    assert found(table) == Counter(pieces + texts)
