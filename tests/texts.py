"""Texts for tests: seeded generators, and the corpora outside the project."""

from __future__ import annotations

import io
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastprep_ext.base import Rows

ROOT = Path(__file__).resolve().parents[1]
# Texts too large to commit, or of others; FASTPREP_SHARED names their folder.
SHARED = Path(os.environ.get("FASTPREP_SHARED", ROOT.parent / "shared"))

# Hard cases for the patterns and the byte layout, each at the edge of a rule.
ATOMS = [
    *("a", "b", "Z", "the", "tion", "x" * 70, "=" * 40, "1", "23", "4567", "½", "Ⅷ", "٣"),
    *(" ", "  ", "   ", " " * 20, "\n", "\n\n", "\r\n", "\t", "\x0b", "\x1c", "\x1f", "\0", "\x7f"),
    *("\u0085", "\u00a0", "\u1680", "\u2003", "\u2028", "\u202f", "\u3000"),
    *("\u180e", "\u200b", "\ufeff", "\u200d", "\u0301", "\u20e3"),
    *("'", "''", "'s", "'t", "'re", "'ve", "'ll", "'m", "'d", "'S", "'LL", "'r", "'l", "’", "'ſ"),
    *("-", "--", "---", "...", "!", "?!", "_", "<|", "|>", "<|endoftext|>", "//", "\\"),
    *(
        "é",
        "É",
        "ß",
        "ſ",
        "\u01c5",
        "ʰ",
        "ж",
        "Ж",
        "א",
        "ع",
        "अ",
        "ก",
        "中",
        "文",
        "あ",
        "ア",
        "한",
    ),
    *("🙂", "👩‍👩‍👧", "𝒜", "𐐀", "𠀀", "\U000e0001", "\U0010ffff", "\ufffd", "\ud7ff", "\ue000"),
]


# Further hard cases for the patterns of cl100k and o200k.
MORE_ATOMS = [
    *("A", "AB", "Ab", "aB", "b", "C", "亚", "洲", "ʰ", "ـ", "ǅ", "\u0301", "\u0301\u0300", "İ"),
    *("!\n", "\n/", "/", "//", "/\n", "!\r\n/", "\u3000\n", "\u2003", " \n", "\n ", "\t\n", "\x85"),
    *("it's", "'s'", "'ſ", "'S", "'Ll", "'RE", "x'VE", "'sx", "'K", "1234567", "٣٤٥٦", "½1", "١a"),
]


def mixed(rnd: random.Random) -> str:
    """Return a text of atoms: any of them, a few of them repeated, or random code points."""
    size = rnd.randrange(1, 60)
    choice = rnd.random()
    if choice < 0.6:
        return "".join(rnd.choices(ATOMS, k=size))
    if choice < 0.8:
        return "".join(rnd.choices(rnd.sample(ATOMS, 3), k=2 * size))
    ranges = [range(0x80), range(0x800), range(0xD800), range(0xE000, 0x110000)]
    return "".join(chr(rnd.choice(rnd.choice(ranges))) for _ in range(size))


def mixed_texts(seed: int, count: int) -> Iterator[str]:
    """Yield `count` texts of `mixed`, equal for equal seeds."""
    rnd = random.Random(seed)
    return (mixed(rnd) for _ in range(count))


def dense(rnd: random.Random) -> str:
    """Return a text dense in hard cases of cl100k and o200k, often at a block's edge."""
    padding = "a" * rnd.choice([0, 0, 0, 55 + rnd.randrange(12)])
    return padding + "".join(rnd.choices(MORE_ATOMS + ATOMS, k=rnd.randrange(1, 25)))


def dense_texts(seed: int, count: int) -> Iterator[str]:
    """Yield `count` texts, alternately of `mixed` and of `dense`."""
    rnd = random.Random(seed)
    return (dense(rnd) if i % 2 else mixed(rnd) for i in range(count))


def shared_file(name: str) -> Path:
    """Return a file of the shared folder, or skip the test with the path that is missing."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not there; set FASTPREP_SHARED to the folder that holds {name}")
    return path


def packed_vocabulary(name: str, folder: Path) -> Path:
    """Unpack a published vocabulary file into a folder, or skip the test."""
    import zstandard

    packed = shared_file(f"vocabularies/{name}.zst").read_bytes()
    path = folder / name
    path.write_bytes(zstandard.ZstdDecompressor().decompress(packed, max_output_size=1 << 26))
    return path


def corpus_documents(name: str) -> Iterator[str]:
    """Yield the documents of one corpus ("prose", "code", "multi"), one str each."""
    import zstandard

    with shared_file(f"corpora/{name}.jsonl.zst").open("rb") as file:
        reader = zstandard.ZstdDecompressor().stream_reader(file)
        for line in io.TextIOWrapper(reader, encoding="utf-8"):
            yield json.loads(line)["text"]


def rows_of(*texts: bytes) -> Rows:
    """Return documents as rows of a batch; the origin of each is its number."""
    rows = Rows()
    for number, text in enumerate(texts):
        rows.append(text, number)
    return rows
