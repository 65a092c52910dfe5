"""The class of one character, as a chain of patterns leaves it to its last one.

What an earlier pattern of the chain takes out of the text is as the end of a text to the last.
"""

from libc.stdint cimport uint8_t, uint32_t

from fastprep_ext.split cimport PATTERN_DEEPSEEK3, Split
from fastprep_ext.utf8 cimport UC_N, utf8_decode

cdef enum:
    KIND_NONE = 15    # no UTF-8 character
    KIND_CJK = 16     # beside the class: of those that deepseek3 takes out


# What a character of class `kind` is to the patterns of a chain.
cdef inline uint8_t kind_apart(int chain, uint32_t point, uint8_t kind) noexcept nogil:
    if chain == PATTERN_DEEPSEEK3:
        # [一-龥぀-ゟ゠-ヿ], marks, signs and unassigned ones among them.
        if 0x4E00 <= point <= 0x9FA5 or 0x3040 <= point <= 0x30FF:
            return kind | KIND_CJK
    # The Digits step of the tokenizers library has a table of its own, of Unicode 17.
    elif 0x11DE0 <= point <= 0x11DE9 or 0x16FF4 <= point <= 0x16FF6:
        return UC_N
    return kind


# The class of the character at byte `at`, which must lie within the text.
cdef inline uint8_t kind_at(const Split *self, size_t at) noexcept nogil:
    cdef uint32_t point
    if utf8_decode(self.text + at, self.n - at, &point) == 0:
        return KIND_NONE    # reported when the splitter comes to it
    if self.chain == 0:
        return self.classes[point]
    return kind_apart(self.chain, point, self.classes[point])
