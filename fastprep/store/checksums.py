"""crc32, of the fastest installed library: isal, else zlib."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable

#: ``crc32(data, value=0)``: zlib's checksum of a buffer, continued from that of the bytes before it.
crc32: Callable[..., int]
try:
    # 10 GB/s against 2.5: isal has carry-less multiplication.
    crc32 = importlib.import_module("isal.isal_zlib").crc32
except ModuleNotFoundError:
    crc32 = zlib.crc32
