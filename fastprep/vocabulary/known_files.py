"""Files in the format of tiktoken that are published without their pattern and special tokens.

A file is recognized by its ranks: their number, and for Llama 3 that they begin as those of cl100k_base.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastprep.vocabulary.patterns import (
    KIMI_PATTERN,
    LLAMA3_PATTERN,
    QWEN2_PATTERN,
    R50K_PATTERN,
)
from fastprep.vocabulary.ranks import RankTable, published_table

_LANGUAGES = [
    "en",
    "zh",
    "de",
    "es",
    "ru",
    "ko",
    "fr",
    "ja",
    "pt",
    "tr",
    "pl",
    "ca",
    "nl",
    "ar",
    "sv",
    "it",
    "id",
    "hi",
    "fi",
    "vi",
    "he",
    "uk",
    "el",
    "ms",
    "cs",
    "ro",
    "da",
    "hu",
    "ta",
    "no",
    "th",
    "ur",
    "hr",
    "bg",
    "lt",
    "la",
    "mi",
    "ml",
    "cy",
    "sk",
    "te",
    "fa",
    "lv",
    "bn",
    "sr",
    "az",
    "sl",
    "kn",
    "et",
    "mk",
    "br",
    "eu",
    "is",
    "hy",
    "ne",
    "mn",
    "bs",
    "kk",
    "sq",
    "sw",
    "gl",
    "mr",
    "pa",
    "si",
    "km",
    "sn",
    "yo",
    "so",
    "af",
    "oc",
    "ka",
    "be",
    "tg",
    "sd",
    "gu",
    "am",
    "yi",
    "lo",
    "uz",
    "fo",
    "ht",
    "ps",
    "tk",
    "nn",
    "mt",
    "sa",
    "lb",
    "my",
    "bo",
    "tl",
    "mg",
    "as",
    "tt",
    "haw",
    "ln",
    "ha",
    "ba",
    "jw",
    "su",
]


@dataclass(frozen=True)
class Known:
    """The pattern and special tokens of a published file.

    Attributes
    ----------
    name
        the name of the encoding.
    pattern
        the pattern, in tiktoken's dialect.
    special_tokens
        from special token to id.
    """

    name: str
    pattern: str
    special_tokens: dict[str, int]


def known_file(table: RankTable, count: int) -> Known | None:
    """Return what is known of a table of `count` tokens, with the empty one; None if it is not known."""
    first = table.largest + 1
    if count == 128_000 and first == 128_000 and _begins_as_cl100k(table):
        return Known("llama3", LLAMA3_PATTERN, _counted(_llama3(), first))
    if count == first == 151_643:
        names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
        return Known(
            "qwen",
            QWEN2_PATTERN,
            _counted([*names, *(f"<|extra_{i}|>" for i in range(205))], first),
        )
    if count == first == 163_584:
        names = [
            "[BOS]",
            "[EOS]",
            *(f"<|reserved_token_{i}|>" for i in range(first + 2, first + 256)),
        ]
        return Known("kimi_k2", KIMI_PATTERN, _counted(names, first))
    if count == 50_257 and first in (50_256, 50_257):
        return Known("whisper", R50K_PATTERN, _counted(_whisper(), 50_257))
    return None


def _counted(names: list[str], first: int) -> dict[str, int]:
    return {name: first + at for at, name in enumerate(names)}


def _begins_as_cl100k(table: RankTable) -> bool:
    cl100k = published_table("cl100k_base")
    size = int(cl100k.ends_buffer[99_999])
    return table.blob[:size] == cl100k.blob[:size]


def _llama3() -> list[str]:
    named = {
        0: "<|begin_of_text|>",
        1: "<|end_of_text|>",
        4: "<|finetune_right_pad_id|>",
        6: "<|start_header_id|>",
        7: "<|end_header_id|>",
        8: "<|eom_id|>",
        9: "<|eot_id|>",
        10: "<|python_tag|>",
    }
    reserved = iter(range(256))
    return [named.get(i) or f"<|reserved_special_token_{next(reserved)}|>" for i in range(256)]


def _whisper() -> list[str]:
    return [
        *("<|endoftext|>", "<|startoftranscript|>"),
        *(f"<|{language}|>" for language in _LANGUAGES),
        *("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"),
        "<|notimestamps|>",
        *(f"<|{i * 0.02:.2f}|>" for i in range(1501)),
    ]
