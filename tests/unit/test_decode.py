"""ids to bytes: blocks, tokens too long for a row of the table, ids far apart, wrong ones anywhere."""

from __future__ import annotations

import random

import numpy as np
import pytest

from fastprep_ext.bpe import Decoder

# A block of ids; some more than one, and than several.
BLOCK = 512
COUNTS = [0, 1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7, 20_000]


def decoder_of(tokens: list[bytes], ids: list[int], extra: list[tuple[bytes, int]]) -> Decoder:
    ends = np.cumsum([len(token) for token in tokens], dtype=np.uint64)
    return Decoder(b"".join(tokens), ends, np.array(ids, np.uint32), extra)


def tokens_of_all_lengths(rng: random.Random) -> list[bytes]:
    return [rng.randbytes(length) for length in [*range(70), 254, 255, 256, 300, 5000]]


def every_form(ids: list[int]) -> list[object]:
    return [ids, tuple(ids), *(np.array(ids, kind) for kind in (np.uint32, np.int64))]


@pytest.mark.parametrize("step", [1, 50_000_000], ids=["dense", "far apart"])
@pytest.mark.parametrize("count", COUNTS)
def test_ids_spell_their_tokens_back_to_back(step, count):
    rng = random.Random(count)
    tokens = tokens_of_all_lengths(rng)
    ids = [step * i for i in range(len(tokens))]
    extra = [(b"<|end|>", ids[-1] + 1), (b"<|a special token of more than a row|>", ids[-1] + 2)]
    decoder = decoder_of(tokens, ids, extra)
    spelled = {**dict(zip(ids, tokens, strict=True)), **{id: token for token, id in extra}}
    chosen = rng.choices(list(spelled), k=count)
    expected = b"".join(spelled[id] for id in chosen)
    for form in every_form(chosen):
        assert decoder.decode_bytes(form) == expected
    assert decoder.decode_each(chosen[:300]) == [spelled[id] for id in chosen[:300]]


@pytest.mark.parametrize("order", ["short first", "long first"])
def test_a_text_whose_tokens_change_their_length_on_the_way_is_spelled(order):
    """The buffer size is a guess from the tokens before: too small, and too large."""
    tokens = [b"a", b"b" * 400]
    decoder = decoder_of(tokens, [0, 1], [])
    ids = [0] * 5000 + [1] * 5000 + [0] * 700
    if order == "long first":
        ids.reverse()
    expected = b"".join(tokens[id] for id in ids)
    for form in every_form(ids):
        assert decoder.decode_bytes(form) == expected


@pytest.mark.parametrize("place", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2999])
@pytest.mark.parametrize("step", [1, 50_000_000], ids=["dense", "far apart"])
def test_unknown_id_is_named_at_any_position(step, place):
    tokens = [b"one", b"two", b"a token of more bytes than a row has"]
    decoder = decoder_of(tokens, [0, step, 2 * step], [])
    ids = [0, step, 2 * step] * 1000
    ids[place] = 7
    for form in every_form(ids):
        with pytest.raises(KeyError, match="Invalid token for decoding: 7"):
            decoder.decode_bytes(form)
    for wrong in (-1, 1 << 32):
        with pytest.raises(OverflowError):
            decoder.decode_bytes(np.array([*ids[:place], wrong, *ids[place + 1 :]], np.int64))
        with pytest.raises(OverflowError):
            decoder.decode_bytes([*ids[:place], wrong])


def test_first_of_two_tokens_with_one_id_is_decoded():
    for far in (0, 1 << 31):
        decoder = decoder_of([b"a", b"b", b"c"], [0, far + 1, far + 1], [(b"d", far + 1)])
        assert decoder.decode_bytes([0, far + 1]) == b"ab"
        assert decoder.decode_token(far + 1) == b"b"
