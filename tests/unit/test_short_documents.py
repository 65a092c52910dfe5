"""Short documents, which share batches of pieces: the ids, ends and errors of each by itself."""

from __future__ import annotations

import random

import numpy as np
import pytest

from fastprep import Encoding, get_encoding
from fastprep.errors import InvalidUtf8

NAMES = ["gpt2", "cl100k_base", "o200k_base"]
#: Around the longest text that shares a batch, the key of a piece, and the size of a batch.
SIZES = [0, 1, 2, 9, 15, 16, 17, 33, 120, 255, 256, 257, 600]


def text_of(rng: random.Random, size: int) -> str:
    alphabet = rng.choice(["ab c", "a", " \n", "xyz '1234 .,", "é ü漢字 🙂", "the of and "])
    text = "".join(rng.choice(alphabet) for _ in range(size))
    return text.encode()[:size].decode("utf-8", "ignore")


def encoded(
    encoding: Encoding, texts: list[bytes], kind: type, end: int | None, close_last: bool = True
) -> tuple[list[int], list[int]]:
    room = sum(map(len, texts)) + len(texts)
    out, ends = np.full(room, 7, kind), np.empty(len(texts), np.uint64)
    count = encoding.encode_documents(texts, out, ends, end_token=end, close_last=close_last)
    return out[:count].tolist(), ends.tolist()


def one_by_one(
    encoding: Encoding, texts: list[bytes], end: int | None, close_last: bool = True
) -> tuple[list[int], list[int]]:
    ids: list[int] = []
    ends = []
    for number, text in enumerate(texts, 1):
        ids += encoding.encode_ordinary(text.decode())
        if end is not None and (close_last or number < len(texts)):
            ids.append(end)
        ends.append(len(ids))
    return ids, ends


@pytest.mark.parametrize("name", NAMES)
def test_ids_and_ends_are_those_of_each_document_alone(name: str) -> None:
    encoding = get_encoding(name)
    rng = random.Random(11)
    for turn in range(60):
        sizes = [0, 1, 9, 33] if turn % 3 else SIZES
        texts = [
            text_of(rng, rng.choice(sizes)).encode() for _ in range(rng.choice([1, 2, 3, 300]))
        ]
        kind = np.uint16 if name == "gpt2" and turn % 2 else np.uint32
        for end in (None, encoding.eot_token):
            for close_last in (True, False):
                wanted = one_by_one(encoding, texts, end, close_last)
                assert encoded(encoding, texts, kind, end, close_last) == wanted


def test_new_long_and_repeated_pieces_are_of_their_own_document() -> None:
    """In any order of the documents in memory: pieces that miss the cache are found from the first."""
    encoding = get_encoding("cl100k_base")
    rng = random.Random(12)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choice(letters) for _ in range(rng.randrange(1, 60))) for _ in range(900)]
    texts = [f"{word} {rng.choice(words)} {word}"[:200].encode() for word in words]
    for order in (texts, texts[::-1], sorted(texts)):
        assert encoded(encoding, order, np.uint32, 5) == one_by_one(encoding, order, 5)


@pytest.mark.parametrize("at", [0, 1, 7, 60, 299])
def test_a_short_document_that_is_not_utf8_is_named(at: int) -> None:
    encoding = get_encoding("cl100k_base")
    texts = [b"A short one."] * 300
    texts[at] = b"It is \xff bad."
    with pytest.raises(InvalidUtf8) as caught:
        encoded(encoding, texts, np.uint32, 5)
    assert (caught.value.index, caught.value.offset) == (at, 6)
    # And the encoder is as before.
    del texts[at]
    assert encoded(encoding, texts, np.uint32, 5) == one_by_one(encoding, texts, 5)


def test_nothing_is_written_after_the_room_of_the_ids() -> None:
    encoding = get_encoding("gpt2")
    texts = [b"a" * size for size in (1, 2, 3)] * 20
    room = sum(map(len, texts)) + len(texts)
    out, ends = np.full(room + 50, 7, np.uint32), np.empty(len(texts), np.uint64)
    encoding.encode_documents(texts, out[:room], ends, end_token=5)
    assert (out[room:] == 7).all()
