"""Any pattern splits as tiktoken or the tokenizers library split by it, or it is refused."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import pytest
import tiktoken
from texts import mixed_texts
from tokenizers import Regex, pre_tokenizers

from fastprep import Encoding
from fastprep.errors import BadVocabulary
from fastprep.vocabulary import code_points
from fastprep.vocabulary.patterns import O200K_PATTERN, R50K_PATTERN, TIKTOKEN
from fastprep.vocabulary.regex_program import compile_tiktoken, compile_tokenizers
from fastprep_ext.bpe import PATTERNS, Program, split_pieces

CHARACTERS = "aAbBsSzé Éß1²½ \n\r\t'.,-_漢かſKµ𝒜\u0301\u200d\u3000\u0085"
SINGLE_BYTES = {bytes([i]): i for i in range(256)}

KIMI = "|".join(
    [
        r"[\p{Han}]+",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ]
)
NANOCHAT = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)
DEEPSEEK_CODER = (
    r"[\r\n]",
    r"\s?\p{L}+",
    r"\s?\p{P}+",
    r"[一-龥ࠀ-一가-퟿]+",
    r"\p{N}",
)
BLOOM = (r" ?[^(\s|[.,!?…。，、।۔،])]+",)


def pieces(pattern: Program | int, text: str) -> list[str]:
    data = text.encode()
    ends = split_pieces(data, pattern)
    return [data[a:b].decode() for a, b in zip([0, *ends], ends, strict=False)]


def by_tiktoken(pattern: str, text: str) -> list[str]:
    """Return tiktoken's pieces: every part of the text is a token of the vocabulary."""
    ranks = dict(SINGLE_BYTES)
    for start in range(len(text)):
        for stop in range(start + 1, len(text) + 1):
            ranks.setdefault(text[start:stop].encode(), len(ranks))
    encoding = tiktoken.Encoding("parts", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    ids = encoding.encode_ordinary(text)
    return [encoding.decode_single_token_bytes(token).decode() for token in ids]


def by_tokenizers(patterns: tuple[str, ...], text: str) -> list[str]:
    steps = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
    return [piece for piece, _ in pre_tokenizers.Sequence(steps).pre_tokenize_str(text)]


class Patterns:
    """Random patterns of one dialect."""

    def __init__(self, seed: int, *, rust: bool) -> None:
        self.rnd = random.Random(seed)
        self.rust = rust

    def pattern(self, depth: int = 0) -> str:
        return "|".join(self._sequence(depth) for _ in range(self.rnd.randint(1, 3)))

    def _sequence(self, depth: int) -> str:
        return "".join(self._repeated(depth) for _ in range(self.rnd.randint(1, 3)))

    def _repeated(self, depth: int) -> str:
        if self.rnd.random() < 0.15:
            return self._condition(depth)
        node = self._node(depth)
        if self.rnd.random() < 0.45:
            return node
        times = self.rnd.choice(["*", "+", "?", "{2}", "{1,3}", "{2,}", "{0,2}"])
        return node + times + self.rnd.choice(["", "", "?", "+"])

    def _condition(self, depth: int) -> str:
        if depth > 1 or self.rnd.random() < 0.4:
            return self.rnd.choice(["^", "$", r"\A", r"\z", r"\Z", r"\b", r"\B"])
        if self.rnd.random() < 0.5:
            return self.rnd.choice(["(?=", "(?!"]) + self.pattern(depth + 1) + ")"
        before = self.rnd.choice([r"\s", "a", r"\p{L}a", "[^a]", "a|bb", r"\d\d"])
        return self.rnd.choice(["(?<=", "(?<!"]) + before + ")"

    def _node(self, depth: int) -> str:
        kind = self.rnd.random()
        if kind < 0.35:
            return self._class(0)
        if kind < 0.7 or depth > 2:
            singles = [
                r"\p{L}",
                r"\p{Lu}",
                r"\p{Ll}",
                r"\p{N}",
                r"\p{P}",
                r"\d",
                r"\s",
                r"\S",
                r"\w",
                r"\W",
                r"a",
                r"b",
                r"'",
                r"s",
                r"é",
                r".",
                r"\n",
                r"\h",
            ]
            return self.rnd.choice([*singles, " "])
        if kind < 0.9:
            return self.rnd.choice(["(?:", "(", "(?>"]) + self.pattern(depth + 1) + ")"
        return self.rnd.choice(["(?i:'s|'ll)", "(?i:a)", "(?i:[a-z])", "(?i:[^a])", "(?i:k)"])

    def _class(self, depth: int) -> str:
        inner = self._items(depth)
        if self.rnd.random() < 0.25:
            operator = self.rnd.choice(["&&", "--", "~~"] if self.rust else ["&&"])
            inner += operator + self._items(depth)
        return "[" + self.rnd.choice(["", "", "^"]) + inner + "]"

    def _items(self, depth: int) -> str:
        items = r"a b A-Z a-z 0-9 \d \w \s \S \p{L} \p{Lu} \P{L} \p{N} \p{M} \p{Han} \n \r ' . \-"
        items += r" _ \h \x{41} é 漢 [:alpha:] [:digit:] [:upper:]"
        items += " [:^alpha:]" if self.rust else " [:punct:] [:space:] [:word:]"
        found = "".join(self.rnd.choice(items.split()) for _ in range(self.rnd.randint(1, 3)))
        return found + self._class(depth + 1) if depth < 2 and self.rnd.random() < 0.2 else found


def texts(seed: int) -> Iterator[str]:
    rnd = random.Random(seed)
    for _ in range(5):
        yield "".join(rnd.choices(CHARACTERS, k=rnd.randint(1, 8)))


def test_random_patterns_split_as_tiktoken_splits(full_size):
    compared = 0
    for seed in range(20_000 if full_size else 300):
        # Any character, so that no text is lost and no match is empty.
        pattern = Patterns(seed, rust=True).pattern()
        pattern = rf"(?=(?s:.))(?:{pattern}|(?s:.))"
        with contextlib.suppress(BadVocabulary):
            program = compile_tiktoken(pattern)
            for text in texts(seed):
                try:
                    found = pieces(program, text)
                except BadVocabulary:  # an empty match, or too many steps
                    continue
                assert found == by_tiktoken(pattern, text), (pattern, text)
                compared += 1
    assert compared > 300


def test_random_chains_split_as_the_tokenizers_library_splits(full_size):
    compared = 0
    for seed in range(50_000 if full_size else 600):
        patterns = Patterns(seed, rust=False)
        chain = tuple(patterns.pattern() for _ in range(1 + seed % 2))
        with contextlib.suppress(BadVocabulary):
            program = compile_tokenizers(chain)
            for text in texts(seed):
                try:
                    expected = by_tokenizers(chain, text)
                except Exception:  # not a pattern there
                    break
                assert pieces(program, text) == expected, (chain, text)
                compared += 1
    assert compared > 500


@pytest.mark.parametrize("pattern", [KIMI, NANOCHAT, R50K_PATTERN, O200K_PATTERN])
def test_patterns_of_models_split_as_tiktoken_splits(pattern):
    program = compile_tiktoken(pattern)
    for text in mixed_texts(seed=3, count=400):
        short = text[:40]
        assert pieces(program, short) == by_tiktoken(pattern, short), short


@pytest.mark.parametrize("chain", [DEEPSEEK_CODER, BLOOM, (KIMI.replace("&&[^", "&&[^"),)])
def test_patterns_of_models_split_as_the_tokenizers_library_splits(chain):
    program = compile_tokenizers(chain)
    for text in mixed_texts(seed=4, count=2_000):
        assert pieces(program, text) == by_tokenizers(chain, text), text


@pytest.mark.parametrize("pattern", TIKTOKEN)
def test_the_machine_splits_as_the_splitters_of_known_patterns(pattern):
    program = compile_tiktoken(pattern)
    for text in mixed_texts(seed=5, count=3_000):
        data = text.encode()
        assert split_pieces(data, program) == split_pieces(data, PATTERNS[TIKTOKEN[pattern]]), text


@pytest.mark.parametrize(
    "name",
    [
        "L",
        "Lu",
        "Ll",
        "Lt",
        "Lm",
        "Lo",
        "M",
        "Mn",
        "N",
        "Nd",
        "No",
        "P",
        "Pd",
        "S",
        "Sc",
        "Z",
        "Zs",
        "C",
        "Cc",
        "Cf",
        "Cn",
        "Han",
        "Hiragana",
        "Latin",
        "Alphabetic",
    ],
)
def test_properties_are_those_of_tiktoken(name):
    points = [c for first, last in code_points.named(name) or () for c in range(first, last + 1)]
    single_bytes = tiktoken.Encoding(
        "x", pat_str=rf"\p{{{name}}}", mergeable_ranks=SINGLE_BYTES, special_tokens={}
    )
    scalars = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)
    theirs = single_bytes.decode(single_bytes.encode_ordinary(scalars))
    assert theirs == "".join(map(chr, points))


def test_an_encoding_with_the_pattern_of_kimi_has_the_ids_of_tiktoken(gpt2_ranks):
    theirs = tiktoken.Encoding(
        "kimi", pat_str=KIMI, mergeable_ranks=gpt2_ranks, special_tokens={"<|end|>": 60_000}
    )
    ours = Encoding(
        "kimi", pat_str=KIMI, mergeable_ranks=gpt2_ranks, special_tokens={"<|end|>": 60_000}
    )
    for text in mixed_texts(seed=6, count=1_000):
        assert ours.encode(text) == theirs.encode(text), text
        assert ours.count(text) == len(theirs.encode(text))


@pytest.fixture(scope="module")
def gpt2_ranks() -> dict[bytes, int]:
    from fastprep import get_encoding

    return get_encoding("gpt2")._mergeable_ranks
