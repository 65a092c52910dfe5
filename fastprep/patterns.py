"""The patterns that have a compiled splitter, in every spelling that means the same.

tiktoken and the tokenizers library of Hugging Face run different regular expression engines, so one
pattern has several spellings: ``\\p{N}{1,3}+`` is possessive in one and a repetition of groups in
the other, ``$`` is the end of the text in one and of a line in the other. A spelling is known or it
is not: a pattern that comes out of a file is never compiled.
"""

from __future__ import annotations

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_OTHERS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_NEWLINES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"

#: For each family, its pattern as the files of Hugging Face spell it. The first one is written.
HUGGING_FACE = {
    "r50k": (
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    ),
    "cl100k": (rf"{_CONTRACTIONS}|{_WORD}|\p{{N}}{{1,3}}|{_OTHERS}|\s+\z|\s*[\r\n]|\s+(?!\S)|\s",),
    "o200k": (
        rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTIONS}?"
        rf"|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTIONS}?"
        rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_NEWLINES}",
    ),
    "llama3": (rf"{_CONTRACTIONS}|{_WORD}|\p{{N}}{{1,3}}|{_OTHERS}|{_NEWLINES}",),
    "qwen2": (rf"{_CONTRACTIONS}|{_WORD}|\p{{N}}|{_OTHERS}|{_NEWLINES}",),
}

#: For each family, its pattern as tiktoken spells it; those that it has no name for are missing.
TIKTOKEN = {
    "r50k": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
    "cl100k": (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
        r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
    ),
    "o200k": HUGGING_FACE["o200k"][0],
}

_FAMILIES = {
    spelling: family
    for family, spellings in (*HUGGING_FACE.items(), *((k, (v,)) for k, v in TIKTOKEN.items()))
    for spelling in spellings
}


def family_of(pattern: str) -> str | None:
    r"""The family of splitters that `pattern` is a spelling of; None where there is none.

    >>> family_of(r"\p{L}+")
    >>> family_of(TIKTOKEN["cl100k"])
    'cl100k'
    """
    return _FAMILIES.get(pattern)
