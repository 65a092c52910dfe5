from collections.abc import Sequence

from typing_extensions import Buffer

class LineReader:
    def __init__(self, keys: Sequence[bytes]) -> None: ...
    def read(
        self,
        text: Buffer,
        at: int,
        out: Buffer,
        written: int,
        starts: Buffer,
        stops: Buffer,
        places: Buffer,
        count: int,
    ) -> tuple[int, int, int]: ...
