"""Documents out of files, by every way to cut the files into blocks and ranges."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType

from fastprep.corpus.documents import Bad, Format, Span
from fastprep.corpus.reader import batches
from fastprep.system.threads import Crew


def read(
    spans: list[Span], form: Format, *, block_bytes: int = 1 << 20, cut: bool = False
) -> list[bytes]:
    """The documents as batches give them, with parts put together."""
    found: list[bytes] = []
    closed = True
    for span in spans:
        for batch in batches(span, form, block_bytes=block_bytes, cut=cut):
            assert batch.texts or batch.bad or batch.passed
            texts = [text.encode() if isinstance(text, str) else text for text in batch.texts]
            assert sum(map(len, texts)) <= batch.size
            if not closed and texts:
                found[-1] += texts.pop(0)
            found += texts
            closed = batch.closed
        assert closed, "a span leaves no document unfinished"
    return found


def spans_of(path: Path, cuts: list[int]) -> list[Span]:
    size = path.stat().st_size
    edges = sorted({0, size, *(cut % (size + 1) for cut in cuts)})
    return [Span(str(path), start, end, size) for start, end in pairwise(edges)]


# Prints the most memory that a process had so far, in MiB. (getrusage counts what its parent had,
# too, if that was more.)
PRINT_MEMORY = """
from pathlib import Path
print(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) >> 10)
"""


def bad_in(spans: list[Span], form: Format, *, block_bytes: int = 1 << 20) -> list[Bad]:
    """The documents that were skipped or replaced."""
    return [
        bad
        for span in spans
        for batch in batches(span, form, block_bytes=block_bytes)
        for bad in batch.bad
    ]


def background_threads() -> list[int]:
    """Return the threads that run work of fastprep, after those that are at their end have ended."""
    until = time.monotonic() + 10
    while True:
        found = [
            thread
            for thread, frame in sys._current_frames().items()
            if any(code is Crew._run.__code__ for code in _codes(frame))
        ]
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.001)


def _codes(frame: FrameType | None) -> Iterator[CodeType]:
    while frame is not None:
        yield frame.f_code
        frame = frame.f_back
