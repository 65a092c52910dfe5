"""Token ids and window starts -> one widened batch."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

class TokenShards:
    """One long sequence of token ids that lies in one buffer or in several."""

    def __init__(self, shards: Iterable[object]) -> None: ...
    @property
    def num_tokens(self) -> int:
        """How many ids there are in all shards together."""

    def gather(
        self,
        starts: NDArray[np.int64],
        inputs: NDArray[np.int64],
        targets: NDArray[np.int64],
        input_fill: int | None = None,
        target_fill: int = -100,
    ) -> None:
        """Copy the windows that begin at `starts` into a batch."""
