from typing_extensions import Buffer

PATTERNS: dict[str, int]
simd: str

def lanes_of(block: Buffer, path: str) -> dict[str, int] | None: ...
