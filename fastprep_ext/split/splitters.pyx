"""Python functions of the splitters."""

#: Patterns that have a splitter, by family name; fastprep.vocabulary.patterns defines the families.
PATTERNS = {
    "r50k": PATTERN_R50K,
    "cl100k": PATTERN_CL100K,
    "o200k": PATTERN_O200K,
    "llama3": PATTERN_LLAMA3,
    "qwen2": PATTERN_QWEN2,
    "qwen35": PATTERN_QWEN35,
    "tekken": PATTERN_TEKKEN,
    "starcoder": PATTERN_STARCODER,
    "deepseek3": PATTERN_DEEPSEEK3,
    "nanochat": PATTERN_NANOCHAT,
    "kimi": PATTERN_KIMI,
}


def split_pieces(text, pattern=PATTERN_R50K) -> list:
    """Return the ends, in bytes, of the pieces of a UTF-8 text, which the encoder looks up one by one.

    >>> split_pieces(b"two words", PATTERNS["o200k"])
    [3, 9]

    `pattern` is a number of PATTERNS, or a splitter object. Raises InvalidUtf8, and BadVocabulary if a
    program matches nothing at a place.
    """
    cdef Array bytes = array_of(text, ITEM_UINT8)
    cdef Split split
    cdef size_t ends[512]
    cdef size_t count, i
    cdef list result = []
    begin_split(&split, bytes, pattern_number(pattern))
    while True:
        count = split_next(&split, ends, 512)
        if count == 0:
            break
        for i in range(count):
            result.append(ends[i])
    check_split(&split)
    return result


def count_pieces(text, pattern=PATTERN_R50K) -> int:
    """Count the pieces of a UTF-8 text: the cost of splitting without a list.

    >>> count_pieces(b"two words", PATTERNS["o200k"])
    2

    Releases the GIL. Raises InvalidUtf8.
    """
    cdef Array bytes = array_of(text, ITEM_UINT8)
    cdef Split split
    cdef size_t ends[512]
    cdef size_t count, total = 0
    begin_split(&split, bytes, pattern_number(pattern))
    with nogil:
        while True:
            count = split_next(&split, ends, 512)
            if count == 0:
                break
            total += count
    check_split(&split)
    return total


cdef int begin_split(Split *split, Array text, int pattern) except -1:
    split_begin(split, pattern, <const uint8_t *>text.at, text.count)
    return 0


cdef int pattern_number(pattern) except -1:
    if isinstance(pattern, GivenSplitter):
        return (<GivenSplitter>pattern).number
    if pattern not in PATTERNS.values():
        raise ValueError(f"pattern {pattern} is not one of {PATTERNS}")
    prepare_pattern(pattern)
    return pattern


cdef int check_split(const Split *split, Py_ssize_t index=0) except -1:
    if split.invalid:
        raise InvalidUtf8(
            f"text {index} is not UTF-8: no character begins at byte {split.at}; "
            "decode it with its real encoding first", index, split.at,
        )
    if split.failure == SPLIT_UNCOVERED:
        raise BadVocabulary(
            f"the pattern of this encoding matches nothing at byte {split.at} of a text, so text would "
            "be lost; add an alternative for any character, (?s:.), to its end"
        )
    if split.failure == SPLIT_TOO_MANY_STEPS:
        raise BadVocabulary(
            f"the pattern of this encoding takes too many steps at byte {split.at} of a text; write it "
            "without nested repetitions"
        )
    if split.failure == SPLIT_NO_MEMORY:
        raise MemoryError("no memory to split a text")
    return 0
