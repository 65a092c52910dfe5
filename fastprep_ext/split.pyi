from typing_extensions import Buffer

simd: str

def lanes_of(block: Buffer, path: str) -> dict[str, int] | None: ...
