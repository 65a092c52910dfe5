"""The merge loop: equal to training that counts all pairs again after each merge."""

from __future__ import annotations

import random
from array import array
from collections import Counter

import pytest
from reference.training import train

from fastprep.trainer.training import byte_order
from fastprep_ext.trainer import MergeTrainer, records_of

BYTES = array("H", range(1, 257))
LETTERS = ["aab ", "abcdefg", "字漢中文🙂é1", "0123456789", "ab"]


def order_of(ties: str) -> array[int]:
    order = array("H", bytes(512))
    for number, byte in enumerate(byte_order(ties), 1):  # type: ignore[arg-type]
        order[byte] = number
    return order


def merges_of(
    counts: dict[bytes, int],
    merges: int,
    order: array[int] = BYTES,
    least: int = 1,
    max_length: int = 0,
    *,
    share: float = 0.05,
    room: int = 0,
    seed: int = 1,
    step: int = 1000,
) -> tuple[list[tuple[bytes, bytes, int]], MergeTrainer]:
    """Return the merges; with `room` for more of them than are made, tokens take 32 bits."""
    trainer = MergeTrainer(order, max(merges, room), least, max_length, share, seed)
    trainer.load_records(records_of(counts))
    while len(trainer) < merges and not trainer.run(min(step, merges - len(trainer))):
        pass
    pairs, counts_of_pairs = (found.tolist() for found in trainer.pairs())
    tokens = {order[byte]: bytes([byte]) for byte in range(256)}
    made = []
    for number in range(len(trainer)):
        left, right = (token + 1 for token in pairs[2 * number : 2 * number + 2])
        count = counts_of_pairs[number]
        made.append((tokens[left], tokens[right], count))
        tokens[257 + number] = tokens[left] + tokens[right]
    return made, trainer


def random_word(rnd: random.Random) -> bytes:
    kind = rnd.randrange(4)
    if kind == 0:
        return b"a" * rnd.randrange(1, 12)
    if kind == 1:
        return b"ab" * rnd.randrange(1, 6) + rnd.choice([b"", b"a", b"b"])
    letters = rnd.choice(LETTERS)
    return "".join(rnd.choices(letters, k=rnd.randrange(1, 20))).encode()


def random_counts(rnd: random.Random) -> dict[bytes, int]:
    counts: Counter[bytes] = Counter()
    for _ in range(rnd.randrange(1, 40)):
        counts[random_word(rnd)] += rnd.choice([1, 1, 1, 2, 3, 5, 70_000, 1 << 40])
    return counts


@pytest.mark.parametrize("seed", range(8))
def test_merges_are_those_of_counting_all_pairs_again(seed: int) -> None:
    rnd = random.Random(seed)
    rescans = 0
    for _ in range(12):
        counts = random_counts(rnd)
        merges, least = rnd.choice([1, 5, 30, 200]), rnd.choice([1, 1, 2, 5])
        max_length = rnd.choice([0, 0, 2, 3, 5, 9])
        order = order_of(rnd.choice(["huggingface", "bytes"]))
        expected = train(counts, merges, order, least, max_length)
        # Floors as usual, above every count, and far too high; tokens of 16 and of 32 bits.
        for share, room in ((0.05, 0), (-1.0, 0), (3.0, 70_000)):
            found, trainer = merges_of(
                counts,
                merges,
                order,
                least,
                max_length,
                share=share,
                room=room,
                seed=rnd.getrandbits(63),
                step=rnd.choice([1, 3, 1000]),
            )
            assert found == expected, (counts, merges, least, max_length)
            rescans += trainer.rescans
    assert rescans > 20


def test_more_than_65535_distinct_counts_and_counts_beyond_53_bits() -> None:
    words = {b"%05d" % number: number + 1 for number in range(70_000)}
    words |= {b"xy": 1 << 60, b"xyz": (1 << 60) + 1}
    found, _ = merges_of(words, 3)
    assert found[:2] == [(b"x", b"y", (1 << 61) + 1), (b"xy", b"z", (1 << 60) + 1)]
    pairs: Counter[tuple[int, int]] = Counter()
    for word, count in words.items():
        for pair in zip(word, word[1:]):  # noqa: B905, RUF007
            pairs[pair] += count
    del pairs[120, 121], pairs[121, 122]
    best = min(pairs, key=lambda pair: (-pairs[pair], pair))
    assert found[2] == (bytes(best[:1]), bytes(best[1:]), pairs[best])


def test_sums_of_counts_beyond_63_bits_are_refused() -> None:
    trainer = MergeTrainer(BYTES, 1, 1, 0, 0.05, 1)
    with pytest.raises(OverflowError, match=r"2\*\*63"):
        trainer.load_records(records_of({b"ab": (1 << 63) - 1, b"abc": 5}))


def test_both_widths_of_tokens_at_the_border() -> None:
    rnd = random.Random(5)
    words = {bytes(rnd.randbytes(6)): 1 for _ in range(18_000)}
    narrow, _ = merges_of(words, 65_000, room=0xFFFE - 257)
    wide, _ = merges_of(words, 65_000, room=0xFFFE - 256)
    assert len(narrow) == 65_000
    assert narrow == wide


@pytest.mark.parametrize("piece", [b"a" * (1 << 20), b"ab" * (1 << 19)], ids=["a", "ab"])
def test_one_giant_piece_is_merged(piece: bytes) -> None:
    found, trainer = merges_of({piece: 1}, 1000)
    tokens = [left + right for left, right, _ in found]
    assert len(tokens[-1]) == len(piece)
    assert len(trainer) == len(piece).bit_length() - 1


def test_damaged_records_are_refused() -> None:
    records = bytes(records_of({b"ab": 1, b"abc": 1}))
    for wrong in (records[:-1], b"\x00" + records, records[:4] + b"\xff" * 12):
        trainer = MergeTrainer(BYTES, 1, 1, 0, 0.05, 1)
        with pytest.raises(ValueError, match="damaged"):
            trainer.load_records(wrong)


def test_wrong_use_is_an_error() -> None:
    trainer = MergeTrainer(BYTES, 1, 1, 0, 0.05, 1)
    with pytest.raises(ValueError, match="no words"):
        trainer.run(1)
    trainer.load_records(b"")
    assert trainer.run(1)
    with pytest.raises(ValueError, match="once"):
        trainer.load_records(b"")
    with pytest.raises(ValueError, match="256"):
        MergeTrainer(array("H", [1]), 1, 1, 0, 0.05, 1)
    with pytest.raises(ValueError, match="1 to 256"):
        MergeTrainer(array("H", range(256)), 1, 1, 0, 0.05, 1)


def test_words_come_from_any_number_of_tables() -> None:
    from fastprep_ext.trainer import PieceCounter

    # As many as a machine of many cores has.
    counters = [PieceCounter(None, False, array("Q", bytes(16))) for _ in range(300)]
    trainer = MergeTrainer(array("H", range(1, 257)), 3, 1, 0, 0.05, 1)
    trainer.load(counters)
    assert trainer.run(10)
    assert len(trainer) == 0


def test_long_lists_of_places_are_cut_for_shorter_ones() -> None:
    rnd = random.Random(5)
    letters = b"abcdefgh"
    counts = {
        bytes(rnd.choices(letters, k=rnd.randrange(2, 9))): rnd.randrange(1, 4)
        for _ in range(4_000)
    }
    made, _ = merges_of(counts, 150)
    assert made == train(counts, 150, BYTES.tolist())


def test_merges_remain_when_the_words_are_given_back() -> None:
    made, trainer = merges_of({b"abab": 3, b"bab": 2}, 2)
    pairs = trainer.pairs()[0]
    trainer.release()
    trainer.release()
    assert (len(trainer), trainer.pairs()[0]) == (len(made), pairs)
    for call in (lambda: trainer.run(1), trainer.unused):
        with pytest.raises(ValueError, match="the trainer has no words"):
            call()
