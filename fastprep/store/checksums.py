"""crc32: the compiled one where the machine has instructions for it, else zlib's, which is equal."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from fastprep_ext import base

#: ``crc32(data, value=0)``: the checksum of a buffer, continued from that of the bytes before it.
crc32: Callable[..., int] = base.crc32 if base.is_crc32_fast else zlib.crc32
