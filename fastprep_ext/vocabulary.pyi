from typing_extensions import Buffer

WAYS: dict[str, int]

def missing_bytes(blob: bytes, ends: Buffer) -> bytes: ...

class Vocabulary:
    largest: int
    pattern: int
    def __init__(
        self,
        blob: bytes,
        ends: Buffer,
        ids: Buffer,
        pattern: int,
        merges: Buffer | None = None,
        whole_pieces: bool = True,
        lefts: bytes | None = None,
    ) -> None: ...
    def encode_piece(self, piece: Buffer) -> list[int]: ...
    def merge_piece(self, piece: Buffer, way: str) -> list[int]: ...
    def cuts(self, piece: Buffer) -> list[int]: ...
    def last_merges(self, made: Buffer) -> int: ...
    def find(self, token: Buffer) -> int: ...
