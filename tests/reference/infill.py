"""Fill-in-the-middle, slowly: one document at a time, from its text to its ids."""

from __future__ import annotations

import hashlib
from collections.abc import Callable


def infilled(
    text: str,
    rate: float,
    spm_rate: float,
    seed: int,
    tokens: tuple[int, int, int],
    encode: Callable[[str], list[int]],
) -> list[int]:
    """Return the ids of a document, without an end token."""
    key = seed.to_bytes(8, "little")
    digest = hashlib.blake2b(text.encode("utf-8"), digest_size=32, key=key).digest()
    numbers = [int.from_bytes(digest[8 * i : 8 * i + 8], "big") / 2**64 for i in range(4)]
    is_chosen, is_suffix_first = numbers[0] < rate, numbers[1] < spm_rate
    if not is_chosen:
        return encode(text)
    # A place before each character, and one after the last.
    places = sorted(int(number * (len(text) + 1)) for number in numbers[2:])
    prefix, middle, suffix = text[: places[0]], text[places[0] : places[1]], text[places[1] :]
    prefix_token, suffix_token, middle_token = tokens
    if is_suffix_first:
        ids = [prefix_token, suffix_token, *encode(suffix), middle_token, *encode(prefix)]
    else:
        ids = [prefix_token, *encode(prefix), suffix_token, *encode(suffix), middle_token]
    return ids + encode(middle)
