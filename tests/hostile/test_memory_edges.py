"""No kernel reads a byte after its text, and none needs a deep stack."""

from __future__ import annotations

import ctypes
import mmap
import sys

import numpy as np
import pytest
from texts import mixed_texts

from fastprep_ext.bpe import split_pieces


@pytest.fixture
def fence():
    """Return a writable page that is followed by an unreadable one."""
    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 2 * page)
    libc = ctypes.CDLL(None, use_errno=True)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    if libc.mprotect(ctypes.c_void_p(address + page), ctypes.c_size_t(page), 0) != 0:
        pytest.skip("this system has no mprotect")
    yield memoryview(memory)[:page]
    libc.mprotect(ctypes.c_void_p(address + page), ctypes.c_size_t(page), 3)


@pytest.mark.skipif(not hasattr(mmap, "PAGESIZE") or sys.platform == "win32", reason="POSIX only")
def test_nothing_is_read_after_the_end_of_a_text(gpt2, fence):
    out, ends = np.zeros(5_000, np.uint16), np.zeros(1, np.uint64)
    for text in mixed_texts(seed=9, count=3_000):
        data = text.encode()[: len(fence)].decode(errors="ignore").encode()
        if not data:
            continue
        fence[-len(data) :] = data
        span = fence[-len(data) :]
        assert split_pieces(span) == split_pieces(data)
        n = gpt2.encode_documents([span], out, ends)
        assert out[:n].tolist() == gpt2.encode_ordinary(data.decode())
        span.release()
