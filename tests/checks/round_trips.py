"""Checks that bytes, UTF-8 or not, survive a round trip and have tiktoken's ids."""

from __future__ import annotations

import random
from collections.abc import Iterator

from oracles import DISTINCT, theirs
from texts import dense, mixed

from checks import Found
from fastprep import Encoding, get_encoding
from fastprep.errors import InvalidUtf8

# Not UTF-8: lone continuations and leads, overlong forms, surrogates, beyond U+10FFFF.
WRONG = [
    *(b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xc3", b"\xe4\xb8", b"\xf0\x9f\x99"),
    *(b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf"),
    *(b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5", b"\xfe", b"\xff"),
]


def some_bytes(rnd: random.Random) -> bytes:
    """Return UTF-8, UTF-8 that was cut, changed or mixed with invalid bytes, or any bytes."""
    choice = rnd.randrange(6)
    if choice == 0:
        return rnd.randbytes(rnd.randrange(60))
    data = (mixed if choice & 1 else dense)(rnd).encode()
    at = rnd.randrange(len(data) + 1)
    if choice == 1:
        return data[:at]
    if choice == 2:
        return data[at:]
    if choice == 3:
        return data[:at] + rnd.choice(WRONG) + data[at:]
    if choice == 4:
        return data[:at] + rnd.randbytes(1) + data[at + 1 :]
    return data


def differs(ours: Encoding, data: bytes, expected: list[int]) -> bool:
    """Return whether the round trip of `data` fails, or its ids are not as expected."""
    ids = ours._encode_bytes(data)
    text = data.decode("utf-8", "replace")
    if ids != expected or ours.decode_bytes(ids) != data or ours.decode(ids) != text:
        return True
    piece = ours._encode_single_piece(data)
    if ours.decode_bytes(piece) != data or b"".join(ours.decode_tokens_bytes(piece)) != data:
        return True
    try:
        end = len(text := data.decode("utf-8"))
    except UnicodeDecodeError as error:
        try:
            ours.encode_bytes(data)
        except InvalidUtf8 as refused:
            return refused.offset != error.start
        return True
    offsets = ours.decode_with_offsets(ids)
    return (
        ours.encode_bytes(data).tolist() != ids
        or ours.encode_bytes(memoryview(bytearray(data))).tolist() != ids
        or offsets[0] != text
        or any(not 0 <= offset < end for offset in offsets[1])
    )


def round_trips(seed: int, cases: int) -> Iterator[Found]:
    """Compare bytes of every kind."""
    for name in DISTINCT:
        ours, oracle = get_encoding(name), theirs(name)
        rnd = random.Random(seed)
        differing = 0
        for _ in range(cases // len(DISTINCT)):
            data = some_bytes(rnd)
            differing += differs(ours, data, oracle._encode_bytes(data))
        yield Found(f"round trips of bytes, {name}", cases // len(DISTINCT), differing)
