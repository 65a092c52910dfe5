from collections.abc import Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt

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
