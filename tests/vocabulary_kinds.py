"""Small tokenizers of further kinds, with the settings of published files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizer_styles import corpus, trained
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
from fastprep.vocabulary.patterns import CLIP_PATTERN

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def read(tokenizer: Tokenizer, folder: Path, **changes: Any) -> tuple[Tokenizer, Encoding]:
    """Return a tokenizer and ours from one file; `changes` are merged into its sections."""
    document = json.loads(tokenizer.to_str())
    for section, values in changes.items():
        document[section] = {**document[section], **values} if document[section] else values
    path = folder / "tokenizer.json"
    # Written by the library, because reading a file renumbers its added tokens.
    Tokenizer.from_str(json.dumps(document)).save(str(path))
    return Tokenizer.from_file(str(path)), Encoding.from_file(path)


def without(tokenizer: Tokenizer, *missing: str) -> dict[str, Any]:
    """Return the model of a tokenizer without some tokens and all that merge from them."""
    model = json.loads(tokenizer.to_str())["model"]
    kept = [key for key in model["vocab"] if not any(letter in key for letter in missing)]
    merges = [merge for merge in model["merges"] if not set("".join(merge)) & set(missing)]
    return {"vocab": {key: i for i, key in enumerate(kept)}, "merges": merges}


def of_characters(*, byte_fallback: bool = True, prepend: bool = True, **model: Any) -> Tokenizer:
    """Train a tokenizer as those that are converted from SentencePiece."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=byte_fallback, **model))
    steps = [normalizers.Prepend("▁")] if prepend else []
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", "▁")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(
        "▁", "never", split=True
    )  # only for training
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            *([decoders.Strip(" ", 1, 0)] if prepend else []),
        ]
    )
    special = ["<unk>", "<s>", "</s>", *(BYTES if byte_fallback else [])]
    trainer = trainers.BpeTrainer(
        vocab_size=1_500, special_tokens=special, limit_alphabet=150, show_progress=False
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    document = json.loads(tokenizer.to_str())
    document["pre_tokenizer"] = None
    document["added_tokens"] = document["added_tokens"][:3]
    vocab = document["model"]["vocab"]
    for size in range(2, 9):  # runs of spaces, as in Llama's vocabulary
        vocab.setdefault("▁" * size, len(vocab))
    document["model"]["merges"] += [
        ["▁" * left, "▁" * (size - left)] for size in range(2, 9) for left in range(1, size)
    ]
    merges = {tuple(merge) for merge in document["model"]["merges"]}
    document["model"]["merges"] = sorted(merges, key=lambda m: (len(m[0] + m[1]) > 8, m))
    return Tokenizer.from_str(json.dumps(document))


def llama_style() -> Tokenizer:
    tokenizer = of_characters(fuse_unk=True)
    tokenizer.add_tokens([AddedToken("<|user|>", rstrip=True, normalized=False, special=True)])
    return tokenizer


def gemma_style() -> Tokenizer:
    tokenizer = of_characters(prepend=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.add_tokens([AddedToken("\n\n", normalized=False), AddedToken("▁▁", normalized=True)])
    return tokenizer


def mistral_style() -> Tokenizer:
    tokenizer = of_characters(prepend=False)
    tokenizer.normalizer = None
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", "first", split=False)
    tokenizer.decoder = decoders.Metaspace("▁", "first", split=False)
    return tokenizer


def words_style() -> Tokenizer:
    tokenizer = of_characters(byte_fallback=False, prepend=False)
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", "always", split=True)
    tokenizer.decoder = decoders.Metaspace("▁", "always", split=True)
    return tokenizer


def unknown_style() -> Tokenizer:
    return of_characters(byte_fallback=False, fuse_unk=True)


def falcon_style(*after: Any) -> Tokenizer:
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    last = after or (pre_tokenizers.Digits(), pre_tokenizers.Split(Regex("[0-9]{3}"), "isolated"))
    return trained(
        pre_tokenizers.Sequence([pre_tokenizers.Punctuation("contiguous"), byte_level, *last])
    )


def clip_style() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    white = normalizers.Replace(Regex(r"\s+"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), white, normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_PATTERN), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=2_000,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        special_tokens=["<|endoftext|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    document = json.loads(tokenizer.to_str())
    vocab = document["model"]["vocab"]
    for letter in alphabet:
        vocab.setdefault(f"{letter}</w>", len(vocab))
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.add_special_tokens([AddedToken("<|startoftext|>", normalized=True)])
    tokenizer.add_tokens([AddedToken("WORD", normalized=True), AddedToken("<x>", lstrip=True)])
    return tokenizer
