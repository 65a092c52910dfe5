"""Many texts on several threads: many at a time, so that handing them out costs little."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from fastprep.decoding import check_threads

Ids = list[list[int]]

_CHUNK = 1 << 17  # characters that are worth handing to a thread
_CHUNKS_PER_THREAD = 4


def mapped(
    texts: Iterable[str],
    threads: int,
    *,
    many: Callable[[Sequence[str]], Ids],
    one: Callable[[str], list[int]],
) -> Ids:
    """The ids of each text, in order.

    `many` encodes texts without the GIL but gives up where one of them needs Python; `one` encodes
    each text of such a group by itself, and so also raises the error of the first that has one.

    >>> mapped(["a", "bc"], 2, many=lambda texts: [[len(t)] for t in texts], one=lambda text: [])
    [[1], [2]]
    """
    check_threads(threads)
    waiting = list(texts)

    def work(chunk: Sequence[str]) -> Ids:
        try:
            return many(chunk)
        except Exception:
            return [one(text) for text in chunk]

    workers = min(threads, os.cpu_count() or 1)
    chunks = _chunks(waiting, workers)
    if workers == 1 or len(chunks) < 2:
        return [ids for chunk in chunks for ids in work(chunk)]
    with ThreadPoolExecutor(min(workers, len(chunks))) as pool:
        return [ids for done in pool.map(work, chunks) for ids in done]


def _chunks(texts: list[str], workers: int) -> list[list[str]]:
    try:
        sizes = [len(text) for text in texts]
    except TypeError:
        return [texts]
    limit = max(_CHUNK, sum(sizes) // (workers * _CHUNKS_PER_THREAD))
    chunks: list[list[str]] = []
    room = 0
    for text, size in zip(texts, sizes, strict=True):
        if room <= 0:
            chunks.append([])
            room = limit
        chunks[-1].append(text)
        room -= size + 16  # a text without characters is work, too
    return chunks
