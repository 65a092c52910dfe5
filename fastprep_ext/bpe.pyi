from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

from fastprep_ext.base import Rows

PATTERNS: dict[str, int]

class Program:
    number: int
    def __init__(
        self,
        code: Buffer,
        ascii: Buffer,
        stages: Buffer,
        blocks: bytes,
        entries: Buffer,
        firsts: Buffer,
        isolated: bool,
        of_bytes: int = ...,
    ) -> None: ...

class RunSplitter:
    number: int
    def __init__(
        self, classes: Buffer, cuts: Buffer, takers: Buffer, digit_bytes: bool
    ) -> None: ...

class CharacterBorders:
    number: int
    def __init__(
        self, blob: bytes, ends: Buffer, rows: Buffer, cut_before: str, whole_unknown: bool
    ) -> None: ...

def split_pieces(
    text: Buffer, pattern: int | Program | RunSplitter | CharacterBorders = 0
) -> list[int]: ...
def count_pieces(
    text: Buffer, pattern: int | Program | RunSplitter | CharacterBorders = 0
) -> int: ...
def lanes_of(block: Buffer, path: str) -> dict[str, int] | None: ...
def blocks_of(text: Buffer, pattern: int, path: str) -> list[dict[str, int]] | None: ...
def places_of(bits: int, path: str) -> list[int] | None: ...

class Specials:
    tokens: list[bytes]
    def __init__(
        self,
        tokens: Sequence[tuple[bytes, int | None] | tuple[bytes, int | None, int]],
        late: Sequence[tuple[bytes, int | None, int]] = (),
        change: TextChange | None = None,
        passes_over: bool = False,
        words: Buffer | None = None,
    ) -> None: ...
    def search(self, text: str) -> bytes | None: ...
    def cut(self, text: Buffer, late: bool = False) -> list[tuple[int, int, int]]: ...

class TextChange:
    def __init__(
        self,
        normalize: Callable[[str], str] | None = None,
        nfc: tuple[Buffer, ...] | None = None,
        marks: bool = False,
        space: int = 0,
        pieces: int | Program = 0,
    ) -> None: ...
    def leaves(self, text: Buffer) -> bool: ...

MERGE_METHODS: dict[str, int]

def count_bytes(text: str | Buffer, of: bytes) -> int: ...
def missing_bytes(blob: bytes, ends: Buffer) -> bytes: ...

class Vocabulary:
    largest: int
    largest_id: int
    added: Specials | None
    pattern: int
    splitter: int | Program | RunSplitter | CharacterBorders
    def __init__(
        self,
        blob: bytes,
        ends: Buffer,
        ids: Buffer,
        pattern: int | Program | RunSplitter | CharacterBorders,
        merges: Buffer | None = None,
        whole_pieces: bool = True,
        lefts: bytes | None = None,
        halves: Buffer | None = None,
        missing: str = "refuse",
        added: Specials | None = None,
        largest_added: int = 0,
        growth: tuple[int, int] = (1, 0),
        fragments: tuple[int, Buffer | None, int, bool] | None = None,
    ) -> None: ...
    def encode_piece(self, piece: Buffer) -> list[int]: ...
    def merge_piece(self, piece: Buffer, method: str) -> list[int]: ...
    def cuts(self, piece: Buffer) -> list[int]: ...
    def last_merges(self, made: Buffer) -> int: ...
    def find(self, token: Buffer) -> int: ...

NO_LIMIT: int

class Encoder(Vocabulary):
    @overload
    def encode(
        self, text: str, specials: Specials | None = None, limit: int = ..., guard: None = None
    ) -> list[int]: ...
    @overload
    def encode(
        self, text: str, specials: Specials | None, limit: int, guard: Specials | None
    ) -> list[int] | None: ...
    @overload
    def encode_to_array(
        self, text: str, specials: Specials | None = None, limit: int = ..., guard: None = None
    ) -> npt.NDArray[np.uint32]: ...
    @overload
    def encode_to_array(
        self, text: str, specials: Specials | None, limit: int, guard: Specials | None
    ) -> npt.NDArray[np.uint32] | None: ...
    def encode_buffer(self, data: Buffer, limit: int = ...) -> npt.NDArray[np.uint32]: ...
    def encode_into(
        self,
        text: str,
        out: Buffer,
        specials: Specials | None = None,
        limit: int = ...,
        guard: Specials | None = None,
        is_checked: bool = False,
    ) -> Any: ...
    def last_piece(self, text: Buffer) -> int: ...
    @overload
    def count(
        self, text: str, specials: Specials | None = None, limit: int = ..., guard: None = None
    ) -> int: ...
    @overload
    def count(
        self, text: str, specials: Specials | None, limit: int, guard: Specials | None
    ) -> int | None: ...
    def encode_documents(
        self,
        texts: Sequence[str | Buffer],
        out: Buffer,
        ends: Buffer,
        *,
        end_token: int | None = None,
        close_last: bool = True,
    ) -> int: ...

class TextBatch:
    def __init__(
        self,
        vocabulary: Vocabulary,
        texts: Iterable[str | Buffer] | Rows,
        specials: Specials | None = None,
        guard: Specials | None = None,
        limit: int = ...,
        *,
        buffers: bool = False,
        counts: bool = False,
    ) -> None: ...
    def __len__(self) -> int: ...
    def work(self) -> None: ...
    def stop(self) -> None: ...
    def lists(self, one: Callable[[Any, int], list[int]]) -> list[list[int]]: ...
    def arrays(
        self, one: Callable[[Any, int], Buffer], offsets: Buffer
    ) -> npt.NDArray[np.uint32]: ...
    def counts(self, one: Callable[[Any, int], int], numbers: Buffer) -> None: ...

class Decoder:
    def __init__(
        self, blob: bytes, ends: Buffer, ids: Buffer, extra: list[tuple[bytes, int]] = ...
    ) -> None: ...
    def decode_bytes(self, ids: Iterable[int] | Buffer) -> bytes: ...
    def decode_token(self, token_id: int) -> bytes: ...
    def decode_each(self, ids: Iterable[int]) -> list[bytes]: ...
    def offsets(self, tokens: list[bytes]) -> list[int]: ...
    def cut(self, text: str, ids: Buffer) -> str: ...

def find_spans(
    encoder: Encoder,
    decoder: Decoder,
    text: str,
    ids: Buffer,
    spans: Buffer,
    specials: Specials | None = None,
) -> bool: ...
def fill_from_lists(rows: list[list[int]], numbers: Buffer) -> bool: ...
def list_with_spans(ids: Buffer, spans: Buffer) -> tuple[list[int], list[tuple[int, int]]]: ...
def list_spans(spans: Buffer) -> list[tuple[int, int]]: ...
def parse_tiktoken(text: Buffer, ends: Buffer, ranks: Buffer) -> tuple[int, bytes, bool]: ...
def tokens_of_halves(data: Buffer, ends: Buffer, ids: Buffer) -> tuple[bytes, bytes]: ...
def check_ids(ids: Iterable[int]) -> None: ...

NO_BYTE: int
SPACE: int
END_OF_MERGE: int

class TokenRows:
    def __init__(self, blob: bytes, ends: Buffer) -> None: ...
    def find(self, token: Buffer) -> int: ...
    def of_merges(self, codes: Buffer, rows: Buffer) -> tuple[int, int]: ...

class Json:
    def __init__(self, codes: Buffer) -> None: ...
    def tokens(
        self, text: Buffer, blob: Buffer, ends: Buffer, ids: Buffer, others: Buffer
    ) -> tuple[int, int]: ...
    def merges(self, text: Buffer, codes: Buffer) -> tuple[int, int]: ...
