from collections.abc import Iterable, Mapping, Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

@final
class WordTable:
    vocab: dict[str, int]
    unknown: str | None
    def __init__(self, vocab: Mapping[str, int], unknown: str | None = None) -> None: ...
    def __len__(self) -> int: ...
    def encode(self, text: str) -> list[int]: ...

def split_words(text: str) -> list[str]: ...
def unique_words(texts: Iterable[str]) -> list[str]: ...
def join_words(words: Mapping[int, str], ids: Iterable[int], closers: str) -> str: ...

@final
class WordEncoder:
    def __init__(self, vocab: dict[str, int], unknown: int) -> None: ...
    def encode_documents(
        self,
        texts: Sequence[str | bytes | memoryview],
        out: npt.NDArray[Any] | memoryview[int],
        ends: npt.NDArray[np.uint64] | memoryview[int],
        *,
        end_token: int | None = None,
        close_last: bool = True,
    ) -> int: ...

def masks_of(block: Buffer, path: str) -> dict[str, int] | None: ...
