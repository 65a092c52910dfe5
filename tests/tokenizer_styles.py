"""Small tokenizers to compare with, trained here with the settings of published files."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from texts import ATOMS, ROOT, mixed_texts
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

from fastprep import Encoding
from fastprep.vocabulary.patterns import HUGGING_FACE


def corpus() -> Iterator[str]:
    for path in sorted((ROOT / "data").glob("*.*")):
        yield path.read_text(encoding="utf-8")
    yield from mixed_texts(seed=31, count=400)


def trained(pre_tokenizer: Any, normalizer: Any = None, **model: Any) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        corpus(),
        trainers.BpeTrainer(vocab_size=1500, initial_alphabet=alphabet, show_progress=False),
    )
    return tokenizer


def split(*patterns: str, behavior: str = "isolated", invert: bool = False) -> Any:
    steps = [pre_tokenizers.Split(Regex(pattern), behavior, invert) for pattern in patterns]
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([*steps, byte_level])


def gpt2_style() -> Tokenizer:
    tokenizer = trained(pre_tokenizers.ByteLevel(add_prefix_space=False))
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", normalized=True)])
    return tokenizer


def roberta_style() -> Tokenizer:
    tokenizer = trained(pre_tokenizers.ByteLevel(add_prefix_space=True))
    mask = AddedToken("<mask>", lstrip=True, normalized=False)
    tokenizer.add_special_tokens(["<s>", "</s>", "<|endoftext|>", mask])
    return tokenizer


def phi_style() -> Tokenizer:
    """Train with runs of spaces as added tokens that are not special and match in the second pass."""
    tokenizer = trained(pre_tokenizers.ByteLevel(add_prefix_space=False))
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.add_tokens([AddedToken(" " * n, normalized=True) for n in range(2, 8)])
    tokenizer.add_tokens([AddedToken("\t\t", normalized=True), AddedToken("中", rstrip=True)])
    return tokenizer


def llama3_style() -> Tokenizer:
    tokenizer = trained(split(*HUGGING_FACE["llama3"][0]), ignore_merges=True)
    document = json.loads(tokenizer.to_str())
    # Llama 3 has tokens that no merge makes, and lists all pairs that make a token as merges.
    vocab = document["model"]["vocab"]
    for token in ("Ġwhole", "Ġ1234", "ĠĠĠĠthere", "zq"):
        vocab.setdefault(token, len(vocab))
    keys = sorted(vocab, key=vocab.__getitem__)
    document["model"]["merges"] = [
        [key[:at], key[at:]]
        for key in keys
        for at in range(1, len(key))
        if key[:at] in vocab and key[at:] in vocab and key != "zq"
    ]
    tokenizer = Tokenizer.from_str(json.dumps(document))
    specials = ["<|begin_of_text|>", "<|end_of_text|>", "<|endoftext|>", "<|eot_id|>"]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in specials])
    return tokenizer


def qwen2_style() -> Tokenizer:
    tokenizer = trained(split(*HUGGING_FACE["qwen2"][0]), normalizers.NFC())
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", normalized=False)])
    tokenizer.add_special_tokens([AddedToken("<|im_start|>", normalized=False)])
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False)])
    tokenizer.add_tokens([AddedToken("e\u0301t", normalized=True), AddedToken("<|", special=False)])
    return tokenizer


def o200k_style() -> Tokenizer:
    tokenizer = trained(split(*HUGGING_FACE["o200k"][0], behavior="removed", invert=True))
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>"), AddedToken("<|end")])
    return tokenizer


def cl100k_style() -> Tokenizer:
    tokenizer = trained(
        split(*HUGGING_FACE["cl100k"][0], invert=True), normalizers.Sequence([normalizers.NFC()])
    )
    tokenizer.add_tokens([AddedToken("é", normalized=False), AddedToken("//", lstrip=True)])
    return tokenizer


def neox_style() -> Tokenizer:
    """Train with GPT-2's steps after NFC, and runs of spaces as added tokens."""
    tokenizer = trained(pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.NFC())
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.add_tokens([AddedToken(" " * n, normalized=True) for n in range(24, 1, -1)])
    return tokenizer


def qwen35_style() -> Tokenizer:
    tokenizer = trained(split(*HUGGING_FACE["qwen35"][0]), normalizers.NFC())
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def tekken_style() -> Tokenizer:
    tokenizer = trained(split(*HUGGING_FACE["tekken"][0]), ignore_merges=True)
    tokenizer.add_special_tokens(["<s>", "</s>"])
    return tokenizer


def starcoder_style() -> Tokenizer:
    digits = pre_tokenizers.Digits(individual_digits=True)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = trained(pre_tokenizers.Sequence([digits, byte_level]))
    tokenizer.add_special_tokens(["<|endoftext|>", "<fim_prefix>"])
    return tokenizer


def deepseek3_style() -> Tokenizer:
    tokenizer = trained(split(*HUGGING_FACE["deepseek3"][0]))
    tokenizer.add_special_tokens(["<｜begin▁of▁sentence｜>", "<|endoftext|>"])
    tokenizer.add_tokens([AddedToken("<｜tool▁sep｜>", normalized=False)])
    return tokenizer


STYLES: list[Callable[[], Tokenizer]] = [
    gpt2_style,
    roberta_style,
    phi_style,
    neox_style,
    llama3_style,
    qwen2_style,
    qwen35_style,
    o200k_style,
    tekken_style,
    cl100k_style,
    starcoder_style,
    deepseek3_style,
]


def lines_style() -> Tokenizer:
    """Train with a pattern that the two dialects write differently, and that leaves gaps."""
    tokenizer = trained(split(r"^ +|[a-z]+$|\p{Lu}+|\n\z"), ignore_merges=True)
    # The first one is also a piece, and a token of the vocabulary, in any text that has it.
    tokenizer.add_special_tokens(["<|endoftext|>", "</s>"])
    return tokenizer


def bloom_style() -> Tokenizer:
    """Train with a pattern in which a space joins a piece depending on text far after it."""
    tokenizer = trained(split(r" ?[^(\s|[.,!?…。，、।۔،])]+"))
    tokenizer.add_special_tokens(["<|endoftext|>", "<pad>"])
    return tokenizer


def chain_style() -> Tokenizer:
    """Train with steps that are known, but not in this combination."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    by_lines = pre_tokenizers.Split(Regex(r"[^\n]*\n"), "isolated")
    tokenizer = trained(pre_tokenizers.Sequence([by_lines, byte_level]))
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


#: Styles whose patterns have no splitter.
FOREIGN = [lines_style, bloom_style, chain_style]


@functools.cache
def both(style: Callable[[], Tokenizer], directory: Path) -> tuple[Tokenizer, Encoding]:
    path = directory / f"{style.__name__}.json"
    style().save(str(path))
    # Read back, because reading a file renumbers its added tokens.
    return Tokenizer.from_file(str(path)), Encoding.from_file(path, allow_pattern=True)


def texts(seed: int, count: int) -> Iterator[str]:
    """Yield texts of atoms, some with added tokens."""
    rnd = random.Random(seed)
    added = ["<s>", "<mask>", "<tool_call>", "<|end", "<|endoftext|>", "e\u0301t", "ét", "  ", "//"]
    words = ["whole", " whole", " 1234", "    there", "zq", " hello", "Hello", "e\u0301", "\u0344"]
    for text in mixed_texts(seed, count // 2):
        yield text
        atoms = rnd.choices([*ATOMS, *added, *added, *words, *words], k=rnd.randrange(1, 30))
        yield "".join(atoms)
    yield from ("", " ", "\n", "<s>", "<mask> <mask>", "  <mask>  x", "<|endoftext|><|end<|")


def ids_of(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False).ids
