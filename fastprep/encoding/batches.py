"""Encoder of many texts on several threads, into lists of ids."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from fastprep.encoding.decoding import check_threads
from fastprep.system.threads import helpers
from fastprep_ext.bpe import Encoder, TextBatch

if TYPE_CHECKING:
    from fastprep.encoding.encoders import AnyEncoder
    from fastprep_ext.bpe import Specials


def encode_batch(
    encoder: AnyEncoder,
    texts: Iterable[str],
    threads: int,
    encode: Callable[[str], list[int]],
    screen: Callable[[str], Specials | None] | None = None,
) -> list[list[int]]:
    """Return the ids of each text, in order.

    `screen` returns the special tokens that cut a text, the same for each, or raises. If it raises,
    and for a text that is not valid Unicode, `encode` returns the ids or raises the error; the error
    of the first such text is raised.

    >>> from fastprep import get_encoding
    >>> enc = get_encoding("gpt2")
    >>> encode_batch(enc._encoder, ["hello world", ""], 2, enc.encode_ordinary)
    [[31373, 995], []]
    """
    check_threads(threads)
    texts = list(texts)
    if not isinstance(encoder, Encoder):
        # Python code splits the text, so threads would not run in parallel.
        return [encode(text) for text in texts]
    specials = None
    left_out = bytearray(len(texts))
    if screen is not None:
        for index, text in enumerate(texts):
            try:
                specials = screen(text)
            except Exception:
                left_out[index] = True
    batch = TextBatch(encoder, texts, specials, left_out)
    workers = min(threads, os.cpu_count() or 1, len(batch))
    with helpers(batch.work, workers - 1, stop=batch.stop):
        return batch.lists(encode)
