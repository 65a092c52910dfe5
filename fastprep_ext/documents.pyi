"""Where documents end -> position ids, document ids, masked targets and sequence lengths."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

class DocumentEnds:
    """Where the documents of a sequence of tokens end."""

    def __init__(self, parts: Iterable[tuple[int, NDArray[np.uint64]]]) -> None: ...
    @property
    def num_documents(self) -> int:
        """How many documents end in all parts together."""
