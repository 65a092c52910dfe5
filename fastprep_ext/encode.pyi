from collections.abc import Sequence

from typing_extensions import Buffer

PATTERNS: dict[str, int]
simd: str

class Encoder:
    largest: int
    def __init__(
        self,
        blob: bytes,
        ends: Buffer,
        ids: Buffer,
        pattern: int,
        merges: Buffer | None = None,
        whole_pieces: bool = True,
    ) -> None: ...
    def encode_ordinary(self, text: str) -> list[int]: ...
    def encode_to_buffer(self, text: str | Buffer) -> memoryview: ...
    def encode_piece(self, piece: Buffer) -> list[int]: ...
    def merge_piece(self, piece: Buffer, way: str) -> list[int]: ...
    def last_merges(self, made: Buffer) -> int: ...
    def find(self, token: Buffer) -> int: ...
    def encode_documents(
        self,
        texts: Sequence[str | Buffer],
        out: Buffer,
        ends: Buffer,
        *,
        end_token: int | None = None,
        close_last: bool = True,
    ) -> int: ...

def split_pieces(text: Buffer, pattern: int = 0) -> list[int]: ...
