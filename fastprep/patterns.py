"""The patterns of ``tokenizer.json`` files that have a compiled splitter.

The tokenizers library of Hugging Face and tiktoken run different regular expression engines, so one
pattern has several spellings, and one spelling may have two meanings: ``\\p{N}{1,3}+`` is possessive
in one and a repetition of groups in the other, ``$`` is the end of the text in one and of a line in
the other. A spelling is known or it is not: a pattern that comes out of a file is never compiled.
"""

from __future__ import annotations

from typing import Final

from fastprep.splitting import LLAMA3_PATTERN, O200K_PATTERN, QWEN2_PATTERN

#: For each family of splitters, its pattern as the files spell it. The first one is written.
HUGGING_FACE: Final = {
    "r50k": (
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    ),
    # Files of this family spell Llama 3's pattern, and mean it. This one means cl100k's.
    "cl100k": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+\z|\s*[\r\n]|\s+(?!\S)|\s",
    ),
    "o200k": (O200K_PATTERN,),
    "llama3": (LLAMA3_PATTERN,),
    "qwen2": (QWEN2_PATTERN,),
}

_FAMILIES = {text: family for family, texts in HUGGING_FACE.items() for text in texts}


def family_of(pattern: str) -> str | None:
    r"""The family of splitters that a pattern of a ``tokenizer.json`` has; None where there is none.

    >>> family_of(r"\p{L}+")
    >>> family_of(LLAMA3_PATTERN)
    'llama3'
    """
    return _FAMILIES.get(pattern)
