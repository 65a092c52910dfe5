from collections.abc import Callable, Iterable

from fastprep_ext.specials import Specials
from fastprep_ext.vocabulary import Vocabulary

class TextBatch:
    def __init__(
        self,
        vocabulary: Vocabulary,
        texts: Iterable[str],
        specials: Specials | None,
        left_out: bytearray,
    ) -> None: ...
    def __len__(self) -> int: ...
    def work(self) -> None: ...
    def stop(self) -> None: ...
    def lists(self, one: Callable[[str], list[int]]) -> list[list[int]]: ...
