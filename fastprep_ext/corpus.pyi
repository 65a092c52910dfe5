from collections.abc import Sequence

from typing_extensions import Buffer

from fastprep_ext.base import Rows

class LineReader:
    def __init__(self, keys: Sequence[bytes]) -> None: ...
    def read(self, text: Buffer, at: int, stop: int, rows: Rows, line: int) -> tuple[int, int]: ...

def split_documents(
    rows: Rows, separator: Buffer | None, limit: int, begun: bool, final: bool, base: int
) -> tuple[int, bool, bool]: ...
