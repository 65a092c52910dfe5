"""Priority of special tokens: which one wins when several match at one position or share an id.

tiktoken searches with a regular expression whose alternatives are its special tokens, in the order of
its hash map. So of ``<|a|>`` and ``<|a|>b`` the shorter one may win, and with other names the longer
one. The order follows from the tokens alone, and this module computes it. It matters only if a
special token is a prefix of another one, or if two have the same id.

The hash is that of Rust's rustc-hash 2, the map that of hashbrown: open addressing over groups of
control bytes that fill one SIMD register.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastprep.system.host import machine

_MASK = (1 << 64) - 1
_SEEDS = (0x243F6A8885A308D3, 0x13198A2E03707344)
_STIR = 0xA4093822299F31D0
_FACTOR = 0xF1357AEA2E62A9C5
_ROTATION = 26
_GROUP = 16 if machine() in ("x86_64", "amd64", "i386", "i686") else 8


def tiktoken_order(tokens: Iterable[str]) -> list[str]:
    """Return the tokens in the order of tiktoken's hash map, after insertion in the given order.

    >>> tiktoken_order(["<|a|>b", "<|a|>"])
    ['<|a|>', '<|a|>b']
    """
    unique = list(dict.fromkeys(tokens))
    slots: list[str | None] = [None] * _slots(len(unique))
    for token in unique:
        slots[_free_slot(slots, _hash(token.encode()))] = token
    return [token for token in slots if token is not None]


def _slots(tokens: int) -> int:
    """Return the slots of a map for that many tokens: a power of two, at most 7/8 full."""
    if tokens < 15:
        return 4 if tokens < 4 else 8 if tokens < 8 else 16
    return 1 << (tokens * 8 // 7 - 1).bit_length()


def _free_slot(slots: Sequence[str | None], hashed: int) -> int:
    """Return the first free slot, probing group by group from the position of the hash."""
    mask = len(slots) - 1
    at, step = hashed & mask, 0
    while True:
        for offset in range(_GROUP):
            # A map smaller than a group has control bytes without slots after its own, always free.
            beyond = at + offset - len(slots)
            if len(slots) < _GROUP and 0 <= beyond < _GROUP - len(slots):
                free = True
            else:
                free = slots[(at + offset) & mask] is None
            if free:
                slot = (at + offset) & mask
                return slot if slots[slot] is None else slots.index(None)
        step += _GROUP
        at = (at + step) & mask


def _hash(token: bytes) -> int:
    low, high = _SEEDS
    size = len(token)
    if size > 16:
        for at in range(0, size - 16, 16):
            mixed = _fold(low ^ _word(token, at, 8), _STIR ^ _word(token, at + 8, 8))
            low, high = high, mixed
    if size >= 16:
        low, high = low ^ _word(token, size - 16, 8), high ^ _word(token, size - 8, 8)
    elif size >= 8:
        low, high = low ^ _word(token, 0, 8), high ^ _word(token, size - 8, 8)
    elif size >= 4:
        low, high = low ^ _word(token, 0, 4), high ^ _word(token, size - 4, 4)
    elif size:
        low, high = low ^ token[0], high ^ (token[-1] << 8 | token[size // 2])
    state = (_fold(low, high) ^ size) * _FACTOR & _MASK
    state = (state + 0xFF) * _FACTOR & _MASK  # a str's hash ends with this byte
    return (state << _ROTATION | state >> (64 - _ROTATION)) & _MASK


def _word(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _fold(a: int, b: int) -> int:
    product = a * b
    return product & _MASK ^ product >> 64
