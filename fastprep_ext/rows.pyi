from collections.abc import Sequence
from typing import Any, overload

from typing_extensions import Buffer

class Rows(Sequence[bytes]):
    buffer: Any
    size: int
    def __init__(self, buffer: Buffer, starts: Buffer, stops: Buffer) -> None: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
