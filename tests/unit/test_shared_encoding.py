"""Threads that share one encoding get the ids that one thread gets, for texts of any length."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from fastprep import get_encoding


@pytest.fixture
def frequent_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("name", ["gpt2", "o200k_base"])
@pytest.mark.usefixtures("frequent_switches")
def test_threads_share_an_encoding(name):
    encoding = get_encoding(name)
    words = ["the", " größer", " window", " of", " 本を読む", "\n\n", " 2026", " x" * 9]
    # The GIL is kept for texts below 8 KiB, and memory for ids is not kept from 64 Ki of them on.
    sizes = [0, 10, 300, 2_100, 8_191, 8_192, 20_000, 300_000]
    texts = [
        "".join(words[(i * i + k) % 8] for i in range(n // 5))[:n] for k, n in enumerate(sizes)
    ]
    texts[-2] += "<|endoftext|>"
    expected = [encoding.encode(text, disallowed_special=()) for text in texts]
    wrong: list[object] = []

    def work(first: int) -> None:
        for number in range(2 * len(texts)):
            at = (first + number) % len(texts)
            text, ids = texts[at], expected[at]
            found = (
                encoding.encode(text, disallowed_special=()),
                encoding.encode_to_numpy(text, disallowed_special=()).tolist(),
                encoding.encode_ordinary(text, max_tokens=7),
                encoding.count(text, disallowed_special=()),
            )
            if found != (ids, ids, ids[:7], len(ids)):
                wrong.append((first, at))
            try:
                refused = encoding.encode(text) is None
            except ValueError:
                refused = True
            if refused != (at == len(texts) - 2):
                wrong.append(text)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
