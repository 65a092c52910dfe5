"""Added tokens that are runs of blanks, which cut pieces without splitting the text again."""

from __future__ import annotations

import random

import pytest
from texts import packed_vocabulary
from tokenizer_styles import gpt2_style, llama3_style
from tokenizers import AddedToken, Tokenizer, normalizers
from vocabulary_kinds import read

from fastprep import Encoding

ATOMS = [
    " ",
    " ",
    "  ",
    "   ",
    "\t",
    "\t\t",
    "\n",
    "\r\n",
    "\x0b",
    "\u3000",
    "\xa0",
    " " * 9,
    "\t" * 7,
]
ATOMS += [
    "'s",
    "'",
    "'ll",
    "it's",
    "''",
    "the",
    "The",
    "12",
    "7",
    "...",
    "(",
    "é",
    "中文",
    "e\u0301",
]
ATOMS += ["🙂", "_", "<|endoftext|>", "word", "\x00", "'\u3000", "\x85"]


def with_runs(style, *runs: str, normalized: bool = True) -> Tokenizer:
    tokenizer = style()
    tokenizer.add_tokens([AddedToken(run, normalized=normalized) for run in runs])
    return tokenizer


def batch(seed: int, count: int) -> list[str]:
    rnd = random.Random(seed)
    found = ["".join(rnd.choices(ATOMS, k=rnd.randrange(1, 16))) for _ in range(count)]
    # More pieces than a batch of them has, and than wait to be cut.
    return [*ATOMS, *found, *("".join(rnd.choices(ATOMS, k=k)) for k in (700, 2500)), "  a " * 900]


def same(theirs: Tokenizer, ours: Encoding, texts: list[str]) -> None:
    theirs.post_processor = None  # which may trim offsets
    for text in texts:
        found = theirs.encode(text, add_special_tokens=False)
        options = {"allowed_special": "all"}
        assert ours.encode(text, **options) == found.ids, ascii(text)
        assert ours.count(text, **options) == len(found.ids)
        assert ours.encode(text, max_tokens=5, **options) == found.ids[:5]
    ids, spans = ours.encode_with_offsets(texts[-2], allowed_special="all")
    apart = theirs.encode(texts[-2], add_special_tokens=False)
    assert (ids, spans) == (apart.ids, apart.offsets)
    rows = ours.encode_batch(texts, allowed_special="all")
    assert rows == [found.ids for found in theirs.encode_batch(texts, add_special_tokens=False)]


@pytest.mark.parametrize(
    "runs",
    [
        ("  ", "   ", "     ", "\t\t", "\t\t\t"),
        (" ", "    "),
        ("\n\n", "  ", "\r\r"),
        ("  ", " \t"),  # not a run: found in another way
    ],
)
@pytest.mark.parametrize("style", [gpt2_style, llama3_style])
def test_ids_are_those_of_the_library(style, runs, tmp_path):
    theirs, ours = read(with_runs(style, *runs), tmp_path)
    same(theirs, ours, batch(5, 150))


def test_runs_under_normal_form_c_and_found_first(tmp_path):
    tokenizer = with_runs(gpt2_style, "  ", "   ")
    tokenizer.normalizer = normalizers.NFC()
    same(*read(tokenizer, tmp_path), batch(6, 150))
    early = with_runs(gpt2_style, "  ", "\t\t", normalized=False)
    same(*read(early, tmp_path), batch(7, 100))


@pytest.mark.parametrize("name", ["phi2.json", "pythia.json"])
def test_published_files(name, tmp_path):
    path = packed_vocabulary(name, tmp_path)
    same(Tokenizer.from_file(str(path)), Encoding.from_file(path), batch(8, 300))
