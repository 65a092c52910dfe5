"""Checksums are those of zlib, from any library."""

from __future__ import annotations

import importlib
import random
import sys
import zlib

import pytest

from fastprep.store import checksums


@pytest.mark.parametrize("with_isal", [True, False])
def test_crc32_is_that_of_zlib(monkeypatch: pytest.MonkeyPatch, with_isal: bool) -> None:
    if not with_isal:
        monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    module = importlib.reload(checksums)
    try:
        assert (module.crc32 is zlib.crc32) is not with_isal
        rng = random.Random(3)
        for size in [*range(70), 1 << 10, (1 << 20) + 1]:
            content = rng.randbytes(size)
            assert module.crc32(content) == zlib.crc32(content)
            first, rest = content[: size // 3], memoryview(bytearray(content))[size // 3 :]
            assert module.crc32(rest, module.crc32(first)) == zlib.crc32(content)
    finally:
        monkeypatch.undo()
        importlib.reload(checksums)
