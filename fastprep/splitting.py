"""The regular expressions that split text, and which of them have a compiled splitter.

A pattern is known by its text. Several spellings mean the same splits: those here are tiktoken's,
now and in earlier versions, and the ones in ``tokenizer.json`` files of the same models. Any other
pattern is left to the package ``regex``.
"""

from __future__ import annotations

from fastprep.errors import BadVocabulary
from fastprep_ext.splitters import PATTERNS

TYPE_CHECKING = False  # typing.TYPE_CHECKING without typing, which takes long to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

R50K_PATTERN: Final = (
    r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
)
CL100K_PATTERN: Final = (
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"""
    r"""| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
)
LLAMA3_PATTERN: Final = (
    r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"""
    r"""| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
)
QWEN2_PATTERN: Final = LLAMA3_PATTERN.replace("{1,3}", "")
O200K_PATTERN: Final = (
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"""
    r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
    r"""|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"""
    r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
    r"""|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
)

#: From pattern to the splitter that does what it says.
SPLITTERS: Final = {
    R50K_PATTERN: "r50k",
    # The spelling of the GPT-2 release, and two between it and today's.
    r"""'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""": "r50k",
    r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""": "r50k",
    r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""": "r50k",
    CL100K_PATTERN: "cl100k",
    # Also cl100k_base as it was first spelt. It differs from today's: newlines before spaces at the
    # end of the text are a piece of their own.
    LLAMA3_PATTERN: "llama3",
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}"""
    r"""| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+""": "llama3",
    QWEN2_PATTERN: "qwen2",
    O200K_PATTERN: "o200k",
}


def splitter(pattern: str) -> int | None:
    """The number in `fastprep_ext.splitters.PATTERNS` of a pattern's splitter; None: it has none."""
    family = SPLITTERS.get(pattern)
    return None if family is None else PATTERNS[family]


def regex_splitter(pattern: str) -> Callable[[str], list[str]]:
    """A splitter for any pattern, by the package ``regex``: text to its pieces.

    >>> regex_splitter(r"[a-c]+|[^a-c]")("abc, a")
    ['abc', ',', ' ', 'a']

    Text that the pattern does not match is in no piece. The classes are those of the Unicode
    version that ``regex`` has, which may be newer than that of the compiled splitters. Raises
    :class:`~fastprep.errors.BadVocabulary` if the pattern is none, ImportError without ``regex``.
    """
    try:
        import regex  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise ImportError(
            f"fastprep has no splitter of its own for the pattern {pattern!r}, and the package "
            "that can run any is not there: pip install 'fastprep[regex]'"
        ) from None
    try:
        compiled = regex.compile(_with_ends_of_text(pattern))
    except regex.error as error:
        raise BadVocabulary(f"{pattern!r} is no regular expression: {error}") from None

    def split(text: str) -> list[str]:
        return [match.group() for match in compiled.finditer(text) if match.end() > match.start()]

    return split


def _with_ends_of_text(pattern: str) -> str:
    # In tiktoken's dialect `$` and `\z` are the end of the text alone; in Python's, `$` is also a
    # place before a newline there, and the end of the text is `\Z`.
    import re

    parts = re.findall(r"\\.|\[(?:\\.|\[:.*?:\]|[^\]\\])+\]|.", pattern, re.DOTALL)
    return "".join(r"\Z" if part in ("$", r"\z") else part for part in parts)
