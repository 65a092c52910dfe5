"""A check of 64 MiB without a newline in a thread with 256 KiB of stack."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from oracles import DISTINCT

from checks import Found
from checks.shapes import SHAPES
from fastprep import get_encoding

STACK = 256 << 10
SIZE = 64 << 20


def in_a_small_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of a function that runs in such a thread."""
    outcome: list[Any] = []
    before = threading.stack_size(STACK)
    try:
        thread = threading.Thread(target=lambda: outcome.append(function(*arguments)))
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    return outcome[0]


def small_stack(seed: int, cases: int, names: list[str] = DISTINCT) -> Iterator[Found]:
    """Check the round trip and the count of every shape and of a mixed text.

    The first ids must be those of the text's first MiB alone, except near its end.
    """
    texts = {what: shape for what, shape in SHAPES.items() if "newlines" not in what}
    texts["letters, then words"] = lambda size: "a" * (size // 2) + " b!" * (size // 6)
    for name in names:
        ours = get_encoding(name)
        for what, shape in texts.items():
            text = shape(SIZE)
            ids = in_a_small_thread(ours.encode_to_numpy, text)
            count = in_a_small_thread(ours.count, text)
            data = in_a_small_thread(ours.decode_bytes, ids)
            short = ours.encode_to_numpy(text[: len(text) >> 6])
            alike = len(short) * 9 // 10
            right = (
                data == text.encode()
                and count == len(ids)
                and (what == "spaces and a letter" or np.array_equal(ids[:alike], short[:alike]))
            )
            yield Found(f"64 MiB of {what}, {name}", 1, int(not right))
