"""Batches of texts: the lists are those of the texts one by one, for any number of threads."""

from __future__ import annotations

import gc
import random
import threading

import numpy as np
import pytest

from fastprep_ext.bpe import TextBatch

# Chunks are of 64 KiB: these texts make some of one text, of many, and of one that is longer.
SIZES = [0, 1, 40, 3000, 65_535, 65_536, 65_537, 300_000]
WORDS = [
    "the",
    " window",
    " of",
    " tokens",
    "\n\n",
    "  ",
    " größer",
    " 本",
    " 😀",
    "123",
    "!?",
    " a",
]


def texts_of(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        size = rng.choice(SIZES) if rng.random() < 0.1 else rng.randrange(200)
        made.append("".join(rng.choices(WORDS, k=size // 4 + 1))[:size])
    return made


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 700, 3000])
def test_a_batch_is_its_texts_one_by_one(gpt2, monkeypatch, count, threads):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    texts = texts_of(count, seed=count)
    expected = [gpt2.encode_ordinary(text) for text in texts]
    assert gpt2.encode_ordinary_batch(texts, num_threads=threads) == expected
    assert gpt2.encode_ordinary_batch(iter(texts), num_threads=threads) == expected
    assert gpt2.encode_batch(texts, num_threads=threads) == expected


def test_texts_that_special_tokens_cut_are_cut_in_batches_too(gpt2):
    texts = [text + "<|endoftext|>" * (i % 3) for i, text in enumerate(texts_of(500, seed=7))]
    for how in ({"allowed_special": "all"}, {"disallowed_special": ()}):
        expected = [gpt2.encode(text, **how) for text in texts]
        assert gpt2.encode_batch(texts, num_threads=2, **how) == expected


def test_lone_surrogates_are_repaired_at_any_position(gpt2):
    texts = texts_of(900, seed=3)
    for place in (0, 450, 899):
        texts[place] = "a \ud800 b"
    expected = [gpt2.encode_ordinary(text) for text in texts]
    assert gpt2.encode_ordinary_batch(texts, num_threads=2) == expected
    assert gpt2.encode_batch(texts, num_threads=2) == expected


@pytest.mark.parametrize("threads", [1, 2])
def test_first_error_in_order_is_raised_and_all_threads_stop(gpt2, threads):
    texts: list[object] = list(texts_of(2000, seed=5))
    texts[1500], texts[1000] = b"bytes", 5
    before = threading.active_count()
    with pytest.raises(TypeError, match="int"):
        gpt2.encode_ordinary_batch(texts, num_threads=threads)  # type: ignore[arg-type]
    assert threading.active_count() == before
    texts[1000] = "a <|endoftext|>"
    with pytest.raises(ValueError, match="endoftext"):
        gpt2.encode_batch(texts, num_threads=threads)  # type: ignore[arg-type]
    texts[1500] = texts[1000] = ""
    assert len(gpt2.encode_batch(texts, num_threads=threads)) == 2000  # type: ignore[arg-type]


def test_the_garbage_collector_knows_the_lists_of_a_batch(gpt2):
    """A list that its owner makes part of a cycle is collected like any other."""
    lists = gpt2.encode_ordinary_batch(["hello world"] * 2000, num_threads=2)
    assert all(map(gc.is_tracked, lists))
    broken = [gpt2.encode_ordinary_batch(["hello"] * 10 + ["\ud800"]) for _ in range(3)]
    assert all(gc.is_tracked(ids) for lists in broken for ids in lists)


def test_threads_that_come_and_go_share_the_chunks_of_a_batch(gpt2):
    texts = ["hello world " * 2000] * 50
    batch = TextBatch(gpt2._encoder, texts)
    assert len(batch) == 17  # three texts of 24,000 bytes in each, two in the last
    threads = [threading.Thread(target=batch.work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    batch.work()
    found = batch.lists(lambda text, number: gpt2.encode_ordinary(text))
    assert found == [gpt2.encode_ordinary(text) for text in texts]


def test_batch_needs_room_for_what_it_writes(gpt2):
    with pytest.raises(ValueError, match="2 texts need 3 offsets, not 2"):
        TextBatch(gpt2._encoder, ["a", "b"]).arrays(len, np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="2 texts have as many numbers, not 3"):
        TextBatch(gpt2._encoder, ["a", "b"], counts=True).counts(len, np.zeros(3, np.int64))
