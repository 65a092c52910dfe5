from typing_extensions import Buffer

NO_BYTE: int
SPACE: int
END_OF_MERGE: int

class TokenRows:
    def __init__(self, blob: bytes, ends: Buffer) -> None: ...
    def find(self, token: Buffer) -> int: ...
    def of_merges(self, codes: Buffer, rows: Buffer) -> tuple[int, int]: ...
