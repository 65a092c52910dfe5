"""Checksums are those of zlib, computed by this machine's instructions or by zlib."""

from __future__ import annotations

import importlib
import random
import zlib

import pytest

from fastprep.store import checksums
from fastprep_ext import base


@pytest.mark.parametrize("is_fast", [True, False])
def test_crc32_is_that_of_zlib(monkeypatch: pytest.MonkeyPatch, is_fast: bool) -> None:
    monkeypatch.setattr(base, "is_crc32_fast", is_fast)
    module = importlib.reload(checksums)
    try:
        assert (module.crc32 is zlib.crc32) is not is_fast
        rng = random.Random(3)
        for size in [*range(70), 1 << 10, (1 << 20) + 1]:
            content = rng.randbytes(size)
            assert module.crc32(content) == zlib.crc32(content)
            first, rest = content[: size // 3], memoryview(bytearray(content))[size // 3 :]
            assert module.crc32(rest, module.crc32(first)) == zlib.crc32(content)
    finally:
        monkeypatch.undo()
        importlib.reload(checksums)


def test_crc32_of_all_lengths_and_alignments() -> None:
    content = random.Random(4).randbytes(700)
    whole = memoryview(content)
    for size in range(400):
        for start in (0, 1, 7, 8, 15, 31):
            part = whole[start : start + size]
            assert base.crc32(part) == zlib.crc32(part), (start, size)
            assert base.crc32(part, 0xDEADBEEF) == zlib.crc32(part, 0xDEADBEEF)


def test_crc32_takes_any_buffer() -> None:
    ids = memoryview(b"\0\1\0\2" * 30).cast("H")
    assert base.crc32(ids) == zlib.crc32(ids)
    with pytest.raises(TypeError):
        base.crc32("text")  # type: ignore[arg-type]
