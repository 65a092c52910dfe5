"""Patterns that have a compiled splitter, in the two dialects in which they are written.

A pattern is recognized by its text; any other pattern is compiled to a program, which is slower
(:mod:`fastprep.vocabulary.regex_program`). There are two tables, because tiktoken and the
tokenizers library of Hugging Face use different regular expression engines. A pattern may have
several spellings, and a spelling two meanings: ``\\p{N}{1,3}+`` is possessive in one engine and a
repetition of groups in the other, ``$`` is the end of the text in one and of a line in the other. A
``tokenizer.json`` may have several patterns: each splits the pieces of the one before.

A *family* is a compiled splitter with its settings, a key of `fastprep_ext.bpe.PATTERNS`:

============= ==================================================================================
family        models whose files have its pattern
============= ==================================================================================
``r50k``      GPT-2, GPT-3, RoBERTa, BART, GPT-NeoX, Pythia, OLMo 1, ModernBERT, Phi-1 and 2
``cl100k``    GPT-3.5 and GPT-4, by tiktoken
``o200k``     GPT-4o, o1 and on, gpt-oss, Llama 4
``llama3``    Llama 3, GPT-4 by ``tokenizer.json``, OLMo 2, Phi-4, GLM-4, SmolLM3
``qwen2``     Qwen 2, 2.5 and 3, Voyage 3
``qwen35``    Qwen 3.5
``tekken``    Mistral NeMo and later Mistral models, Nemotron 3
``starcoder`` StarCoder, SmolLM 1 and 2, Granite, Command R
``deepseek3`` DeepSeek V3, R1 and later
``nanochat``  nanochat
``kimi``      Kimi K2 and later
============= ==================================================================================

Other spellings of the same are recognized, too (:mod:`fastprep.vocabulary.spellings`). Chains of
patterns for runs of characters, as those of BLOOM, DeepSeek Coder and Falcon, have a splitter that is
made from them (:mod:`fastprep.vocabulary.run_rules`). Others are run as programs: DeepSeek LLM, CLIP.
Gemma, Llama 1 and 2, and Mistral 7B have no pattern (:mod:`fastprep.vocabulary.characters`), and T5 is
not BPE.
"""

from __future__ import annotations

from fastprep_ext.bpe import PATTERNS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

R50K_PATTERN: Final = (
    r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
)
CL100K_PATTERN: Final = (
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"""
    r"""| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
)
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_BLANK = r"\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3_PATTERN: Final = (
    _CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + _BLANK
)
QWEN2_PATTERN: Final = LLAMA3_PATTERN.replace("{1,3}", "")
QWEN35_PATTERN: Final = (
    _CONTRACTION + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|" + _BLANK
)
O200K_PATTERN: Final = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    + (_CONTRACTION + "?")
    + r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    + (_CONTRACTION + "?")
    + (r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + _BLANK)
)
NANOCHAT_PATTERN: Final = LLAMA3_PATTERN.replace("{1,3}", "{1,2}")
_NO_HAN = r"\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
#: Kimi K2's, with what tiktoken calls an intersection of sets.
KIMI_PATTERN: Final = r"[\p{Han}]+|" + O200K_PATTERN.replace(
    r"\p{Lm}\p{Lo}\p{M}]", _NO_HAN
).replace(r"[\r\n/]*", r"[\r\n]*")
TEKKEN_PATTERN: Final = O200K_PATTERN.replace(_CONTRACTION + "?", "").replace("{1,3}", "")

#: The pattern that the tokenizers library gives its ByteLevel step: GPT-2's first one.
BYTE_LEVEL_PATTERN: Final = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)
#: The digits of its Digits step, which has its own table, of Unicode 17.
DIGIT_PATTERN: Final = "[\\p{N}\U00011de0-\U00011de9\U00016ff4-\U00016ff6]"

#: The characters of its Punctuation step: those of ASCII and \\p{P}, of an old version of Unicode.
PUNCTUATION_PATTERN: Final = (
    "[\\p{P}$+<=>^`|~\u166d\U000111c9&&[^"
    "\u061d\u09fd\u0a76\u0c77\u0c84\u1b4e\u1b4f\u1b7d-\u1b7f\u2e43-\u2e4f\u2e52-\u2e5d\U00010d6e"
    "\U00010ead\U00010f55-\U00010f59\U00010f86-\U00010f89\U000113d4\U000113d5\U000113d7\U000113d8"
    "\U0001144b-\U0001144f\U0001145a\U0001145b\U0001145d\U00011660-\U0001166c\U000116b9\U0001183b"
    "\U00011944-\U00011946\U000119e2\U00011a3f-\U00011a46\U00011a9a-\U00011a9c"
    "\U00011a9e-\U00011aa2\U00011b00-\U00011b09\U00011be1\U00011c41-\U00011c45"
    "\U00011c70\U00011c71\U00011ef7\U00011ef8\U00011f43-\U00011f4f\U00011fff\U00012ff1\U00012ff2"
    "\U00016d6d-\U00016d6f\U00016e97-\U00016e9a\U00016fe2\U0001e5ff\U0001e95e\U0001e95f"
    "]]"
)
#: Before a pattern that splits the letters of the byte alphabet, one for each byte, and not the text.
OF_BYTES: Final = "(?-u)"
CLIP_PATTERN: Final = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"

_DEEPSEEK3 = (
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
    r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|" + _BLANK,
)

#: Patterns as tiktoken reads them, with their families: its own, of all versions, and other ones that
#: mean the same to it.
TIKTOKEN: Final = {
    R50K_PATTERN: "r50k",
    # The spelling of the GPT-2 release, and two between it and today's.
    r"""'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""": "r50k",
    BYTE_LEVEL_PATTERN: "r50k",
    r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""": "r50k",
    CL100K_PATTERN: "cl100k",
    # Also the first spelling of cl100k_base. It differs from today's: newlines before spaces at the
    # end of the text are a separate piece.
    LLAMA3_PATTERN: "llama3",
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}"""
    r"""| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+""": "llama3",
    QWEN2_PATTERN: "qwen2",
    QWEN35_PATTERN: "qwen35",
    NANOCHAT_PATTERN: "nanochat",
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}"""
    r"""| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+""": "nanochat",
    O200K_PATTERN: "o200k",
    KIMI_PATTERN: "kimi",
    TEKKEN_PATTERN: "tekken",
}

#: The chains of patterns of each family in a ``tokenizer.json``. The first is used for writing.
HUGGING_FACE: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "r50k": (
        (BYTE_LEVEL_PATTERN,),
        (r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",),
    ),
    # Published files of this family have Llama 3's pattern. This one means cl100k's.
    "cl100k": ((LLAMA3_PATTERN.replace(_BLANK, r"\s+\z|\s*[\r\n]|\s+(?!\S)|\s"),),),
    "o200k": ((O200K_PATTERN,),),
    "llama3": ((LLAMA3_PATTERN,),),
    "qwen2": ((QWEN2_PATTERN,),),
    "qwen35": ((QWEN35_PATTERN,),),
    "tekken": ((TEKKEN_PATTERN,),),
    "starcoder": ((DIGIT_PATTERN, BYTE_LEVEL_PATTERN),),
    # The published file has the newline characters themselves.
    "deepseek3": (
        (*_DEEPSEEK3[:2], _DEEPSEEK3[2].replace(r"\r", "\r").replace(r"\n", "\n")),
        _DEEPSEEK3,
    ),
    "nanochat": (
        (NANOCHAT_PATTERN,),
        (
            r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}"""
            r"""| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+""",
        ),
    ),
    "kimi": ((KIMI_PATTERN,),),
}

_FAMILIES = {chain: family for family, chains in HUGGING_FACE.items() for chain in chains}


def splitter(pattern: str) -> int | None:
    """Return the number of the splitter of a pattern as tiktoken reads it, or None.

    >>> splitter(CL100K_PATTERN) == PATTERNS["cl100k"]
    True
    """
    family = TIKTOKEN.get(pattern)
    return None if family is None else PATTERNS[family]


def family_of(chain: Sequence[str]) -> str | None:
    r"""Return the family of the chain of patterns of a ``tokenizer.json``, or None.

    >>> family_of([r"\p{L}+"])
    >>> family_of([LLAMA3_PATTERN])
    'llama3'
    """
    return _FAMILIES.get(tuple(chain))
