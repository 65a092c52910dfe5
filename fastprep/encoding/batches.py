"""Many texts on several threads, to lists of ids."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from fastprep.encoding.decoding import check_threads
from fastprep.system.threads import helpers
from fastprep_ext.bpe import Encoder, TextBatch

if TYPE_CHECKING:
    from fastprep.encoding.python_encoder import GeneralEncoder
    from fastprep_ext.bpe import Specials


def encode_batch(
    encoder: Encoder | GeneralEncoder,
    texts: Iterable[str],
    threads: int,
    one: Callable[[str], list[int]],
    screen: Callable[[str], Specials | None] | None = None,
) -> list[list[int]]:
    """The ids of each text, in order.

    `screen` gives the special tokens that cut a text, the same for each, or raises. Where it does, and
    for a text that is no valid str, `one` makes the ids or raises the error: the first in order.

    >>> from fastprep import get_encoding
    >>> enc = get_encoding("gpt2")
    >>> encode_batch(enc._encoder, ["hello world", ""], 2, enc.encode_ordinary)
    [[31373, 995], []]
    """
    check_threads(threads)
    waiting = list(texts)
    if not isinstance(encoder, Encoder):
        # Python splits the text: threads would only take turns.
        return [one(text) for text in waiting]
    specials = None
    left_out = bytearray(len(waiting))
    if screen is not None:
        for index, text in enumerate(waiting):
            try:
                specials = screen(text)
            except Exception:
                left_out[index] = True
    batch = TextBatch(encoder, waiting, specials, left_out)
    workers = min(threads, os.cpu_count() or 1, len(batch))
    with helpers(batch.work, workers - 1, stop=batch.stop):
        return batch.lists(one)
