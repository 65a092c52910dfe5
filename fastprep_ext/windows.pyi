"""Token ids -> the inputs and targets of windows."""

from collections.abc import Iterable, Sequence

class TokenShards:
    """One long sequence of token ids that lies in one buffer or in several."""

    def __init__(
        self, shards: Iterable[object], files: Sequence[tuple[int, int, int]] | None = None
    ) -> None: ...
    num_tokens: int
