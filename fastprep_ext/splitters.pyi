from typing_extensions import Buffer

PATTERNS: dict[str, int]

def split_pieces(text: Buffer, pattern: int = 0) -> list[int]: ...
