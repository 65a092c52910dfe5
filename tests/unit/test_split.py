"""The splitter against the slow reference, and its SIMD paths against each other."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from collections.abc import Callable

import pytest
from reference.splits import split_r50k
from texts import mixed_texts

from fastprep.errors import InvalidUtf8
from fastprep_ext.bpe import PATTERNS, count_pieces, lanes_of, places_of, split_pieces

# One character for each class that the pattern tells apart, and those that contractions need.
REPRESENTATIVES = "a1 \n'!ts" + "é" + "\u3000" + "’"


def reference_ends(text: str) -> list[int]:
    ends = itertools.accumulate(len(piece.encode()) for piece in split_r50k(text))
    return list(ends)


def test_pieces_of_generated_texts_are_the_reference_pieces():
    for text in mixed_texts(seed=1, count=5_000):
        assert split_pieces(text.encode()) == reference_ends(text), repr(text)


def test_pieces_of_all_strings_of_up_to_four_representatives():
    for length in range(5):
        for characters in itertools.product(REPRESENTATIVES, repeat=length):
            text = "".join(characters)
            assert split_pieces(text.encode()) == reference_ends(text), repr(text)


@pytest.mark.parametrize("shift", range(60, 68))
def test_pieces_do_not_depend_on_block_edges(shift):
    for length in (3, 4):
        for characters in itertools.product("a '\n!s\u3000é", repeat=length):
            text = "b" * shift + "".join(characters)
            assert split_pieces(text.encode()) == reference_ends(text), repr(text)


def test_the_last_end_is_the_length():
    assert split_pieces(b"") == []
    for size in range(1, 200):
        assert split_pieces(b"ab " * size)[-1] == 3 * size


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (b"\x80", 0),
        (b"abc\xff", 3),
        (b"\xc3", 0),
        (b"\xc3(", 0),
        (b"\xc0\xaf", 0),
        (b"\xe0\x80\x80", 0),
        (b"ok \xed\xa0\x80", 3),
        (b"\xf0\x80\x80\x80", 0),
        (b"\xf4\x90\x80\x80", 0),
        (b"a" * 100 + "é".encode() + b"\xbf", 102),
        (b"a" * 63 + b"\xe4\xb8", 63),
        (b"a" * 62 + "中".encode()[:2] + b"a", 62),
    ],
)
def test_position_of_bytes_that_are_not_utf8(data, offset):
    with pytest.raises(UnicodeDecodeError) as python:
        data.decode()
    with pytest.raises(InvalidUtf8, match=f"byte {offset}") as ours:
        split_pieces(data)
    assert ours.value.offset == python.value.start == offset


def test_random_bytes_are_refused_exactly_where_python_refuses_them():
    rnd = random.Random(2)
    parts = [b"a", b" ", b"\xc3", b"\xa9", b"\xe4", b"\xb8", b"\xad", b"\xf0", b"\x9f", b"\xed"]
    for _ in range(20_000):
        data = b"".join(rnd.choices(parts, k=rnd.randrange(1, 12)))
        expected = first_invalid(bytes.decode, data)
        assert first_invalid(split_pieces, data) == expected
        assert first_invalid(count_pieces, data) == expected


@pytest.mark.parametrize("family", PATTERNS)
def test_pieces_are_counted_as_they_are_listed(family):
    pattern = PATTERNS[family]
    assert count_pieces(b"", pattern) == 0
    for text in mixed_texts(seed=3, count=500):
        assert count_pieces(text.encode(), pattern) == len(split_pieces(text.encode(), pattern))


def test_pieces_of_no_pattern_are_not_counted():
    with pytest.raises(ValueError, match="pattern 99 is not one of"):
        count_pieces(b"text", 99)


def first_invalid(read: Callable[[bytes], object], data: bytes) -> int | None:
    try:
        read(data)
    except UnicodeDecodeError as error:
        return error.start
    except InvalidUtf8 as error:
        return error.offset
    return None


@pytest.mark.parametrize("path", ["sse2", "avx2", "neon"])
def test_simd_paths_agree_with_the_portable_path(path):
    if lanes_of(bytes(64), path) is None:
        pytest.skip(f"this machine has no {path}")
    rnd = random.Random(3)
    for _ in range(2_000):
        block = rnd.randbytes(64)
        assert lanes_of(block, path) == lanes_of(block, "portable")
    for byte in range(256):
        assert lanes_of(bytes([byte]) * 64, path) == lanes_of(bytes([byte]) * 64, "portable")


@pytest.mark.parametrize("path", ["portable", "sse2", "avx2", "neon"])
def test_positions_of_bits_are_listed_in_order(path):
    if places_of(0, path) is None:
        pytest.skip(f"this machine has no {path}")
    rnd = random.Random(4)
    for bits in (0, 1, 1 << 63, (1 << 64) - 1, *(1 << n for n in range(64))):
        assert places_of(bits, path) == [at for at in range(64) if bits >> at & 1]
    for count in range(65):
        for _ in range(20):
            places = sorted(rnd.sample(range(64), count))
            assert places_of(sum(1 << at for at in places), path) == places


def test_the_portable_path_knows_ascii():
    for byte in range(256):
        lanes = lanes_of(bytes([byte]) + bytes(63), "portable")
        character = chr(byte)
        assert lanes["letter"] == (byte < 128 and character.isalpha())
        assert lanes["digit"] == (byte < 128 and character.isdigit())
        assert lanes["space"] == (character == " ")
        assert lanes["white"] == (character in "\t\n\v\f\r ")
        assert lanes["apostrophe"] == (character == "'")
        assert lanes["high"] == (byte >= 128)


@pytest.mark.parametrize("path", ["portable", "sse2", "avx2", "neon"])
def test_the_path_can_be_forced(path):
    if lanes_of(bytes(64), path) is None:
        pytest.skip(f"this machine has no {path}")
    program = (
        "from fastprep.registry import get_encoding; from fastprep_ext.base import simd;"
        "print(simd, get_encoding('gpt2').encode_ordinary('Hello, wörld' * 9)[:4])"
    )
    assert run_with(path, program) == f"{path} [15496, 11, 266, 30570]\n"


# The ids of many texts as one number: once while the cache grows, and once after.
IDS = """
import zlib
from texts import mixed_texts
from fastprep.registry import get_encoding
for name in ("gpt2", "o200k_base"):
    encoding, digest = get_encoding(name), 0
    for _ in range(2):
        for seed in range(5):
            texts = list(mixed_texts(seed=seed, count=300))
            for text in ["".join(texts), *texts]:
                digest = zlib.crc32(repr(encoding.encode_ordinary(text)).encode(), digest)
    print(name, digest)
"""


def test_all_paths_give_the_same_ids():
    paths = [path for path in ("portable", "sse2", "avx2", "neon") if lanes_of(bytes(64), path)]
    found = {path: run_with(path, IDS) for path in paths}
    assert found["portable"].count("\n") == 2
    assert len(set(found.values())) == 1, found


def run_with(path: str, program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "FASTPREP_SIMD": path, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_unknown_simd_path_is_refused_by_name():
    done = subprocess.run(
        [sys.executable, "-c", "import fastprep_ext.base"],
        env={**os.environ, "FASTPREP_SIMD": "mmx"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "FASTPREP_SIMD='mmx'" in done.stderr


@pytest.mark.parametrize("family", ["cl100k", "o200k", "llama3", "qwen2"])
@pytest.mark.parametrize("wide", ["\u00a0", "\u3000"])
def test_whitespace_run_continues_after_a_character_across_two_blocks(family, wide):
    for spaces in range(58, 66):
        # The run is cut only after its last newline, for any position of the wide character.
        text = ("\n" + " " * spaces + wide + "\n").encode()
        assert split_pieces(text, PATTERNS[family]) == [len(text)]
