from collections.abc import Iterable

from typing_extensions import Buffer

class Decoder:
    def __init__(self, blob: bytes, ends: Buffer, ids: Buffer) -> None: ...
    def decode_bytes(self, ids: Iterable[int] | Buffer) -> bytes: ...
