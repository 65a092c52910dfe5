"""Text -> words and punctuation: class masks of 64 code points, then the ends of their runs."""

cdef extern from "words/masks.h" nogil:
    ctypedef void (*WordMasksFunction)(
        const uint8_t *latin, int64_t blocks, WordMasks *masks
    ) noexcept nogil
    WordMasksFunction word_masks_function(const char *name)
    bint is_separator(uint8_t c)
    bint is_latin_white(uint8_t c)

cdef enum:
    SPACE = 0x20
    DASH = 0x2D
    WIDE = 0xFF               # stands for a code point >= U+0100 that is not whitespace

cdef WordMasksFunction MASKS = word_masks_function(simd.encode())

# A code point as CPython stores it.
ctypedef fused Unit:
    uint8_t
    uint16_t
    uint32_t


cdef inline bint is_wide_white(uint32_t c) noexcept nogil:
    return (
        (c - 0x2000 < 11) | (c == 0x3000)
        | (c == 0x2028) | (c == 0x2029) | (c == 0x202F) | (c == 0x205F) | (c == 0x1680)
    )


cdef inline bint is_white(uint32_t c) noexcept nogil:
    return is_latin_white(<uint8_t>c) if c < 256 else is_wide_white(c)


# The bit of code point i in the mask of its block.
cdef inline uint64_t bit(int64_t i) noexcept nogil:
    return <uint64_t>1 << (i & 63)


# Fill copy and wide from n units. All later steps classify by Latin-1 only.
cdef void narrow(const Unit *units, int64_t n, Window *window) noexcept nogil:
    cdef int64_t i, begin, end, block = 0
    cdef uint32_t seen
    window.has_wide = False
    if Unit is uint8_t:
        memcpy(window.copy, units, n)
    else:
        for begin in range(0, n, 64):
            end = min(begin + 64, n)
            seen = 0
            for i in range(begin, end):
                window.copy[i] = <uint8_t>units[i]
                seen |= units[i]
            window.wide[block] = 0
            if seen >= 256:
                for i in range(begin, end):
                    if units[i] >= 256:
                        if is_wide_white(units[i]):
                            window.copy[i] = SPACE
                        else:
                            window.copy[i] = WIDE
                            window.wide[block] |= bit(i)
                            window.has_wide = True
            block += 1
        window.wide[block] = 0


# Make each `--` a separator, from the left: `---` is `--` and the first character of a word.
cdef void mark_pairs(Window *window, int64_t n) noexcept nogil:
    cdef const uint8_t *at = window.latin
    cdef const uint8_t *end = window.latin + n
    cdef int64_t first, second
    while True:
        at = <const uint8_t *>memchr(at, DASH, end - at)
        if at == NULL or at + 1 == end:
            return
        if at[1] != DASH:
            at += 1
            continue
        first = at - window.latin
        second = first + 1
        window.masks[first >> 6].word &= ~bit(first)
        window.masks[second >> 6].word &= ~bit(second)
        window.masks[first >> 6].opens |= bit(first)
        window.masks[second >> 6].closes |= bit(second)
        at += 2


# Return whether a dash follows a dash.
cdef inline bint has_neighbours(const Window *window, int64_t blocks) noexcept nogil:
    cdef uint64_t dash, before = 0, found = 0
    cdef int64_t block
    for block in range(blocks):
        dash = window.masks[block].dash
        found |= dash & (dash << 1 | before)
        before = dash >> 63
    return found != 0


# Convert masks to positions; returns the number of pieces.
cdef int64_t list_pieces(Window *window, int64_t blocks) noexcept nogil:
    cdef const WordMasks *masks = window.masks
    cdef uint16_t *starts_out = window.starts
    cdef uint16_t *ends_out = window.ends
    cdef uint64_t last = <uint64_t>1 << 63      # keeps lowest_bit defined if no bit is left
    cdef int64_t block, base, n = 0
    cdef uint64_t word, before, starts, ends, closing, open = 0, word_before = 0, closes_before = 0
    for block in range(blocks):
        base = block * 64
        word = masks[block].word
        before = word << 1 | word_before
        starts = (word & ~before) | masks[block].opens
        ends = (before & ~word) | masks[block].closes << 1 | closes_before
        word_before = word >> 63
        closes_before = masks[block].closes >> 63
        # Piece n may have started in an earlier block. Without a branch: it happens half of the time.
        closing = open & (ends != 0)
        ends_out[n] = <uint16_t>(base + lowest_bit(ends | last))
        ends &= ends - closing
        open ^= closing
        n += closing
        # Now each end has its start in this block, and one start may be left.
        while ends:
            starts_out[n] = <uint16_t>(base + lowest_bit(starts))
            ends_out[n] = <uint16_t>(base + lowest_bit(ends))
            starts &= starts - 1
            ends &= ends - 1
            n += 1
        starts_out[n + open] = <uint16_t>(base + lowest_bit(starts | last))
        open |= starts != 0
    return n


# Return the end of the word that extends over `at`.
cdef int64_t word_end(const Unit *units, int64_t at, int64_t length) noexcept nogil:
    cdef uint32_t c
    while at < length:
        c = units[at]
        if is_white(c) or (c < 128 and is_separator(<uint8_t>c)):
            return at
        if c == DASH and at + 1 < length and units[at + 1] == DASH:
            return at
        at += 1
    return length


# Compute the window's Latin-1 text and its masks, which are undefined after n.
cdef void classify(const Text *text, int64_t origin, int64_t n, Window *window) noexcept nogil:
    cdef int64_t blocks = n // 64
    if text.kind == 1 and text.length - origin >= WINDOW + LOAD:
        window.latin = <const uint8_t *>text.units + origin
        window.has_wide = False
        MASKS(window.latin, blocks, window.masks)
        memset(&window.masks[blocks], 0, sizeof(WordMasks))
        return
    if text.kind == 1:
        narrow(<const uint8_t *>text.units + origin, n, window)
    elif text.kind == 2:
        narrow(<const uint16_t *>text.units + origin, n, window)
    else:
        narrow(<const uint32_t *>text.units + origin, n, window)
    memset(window.copy + n, SPACE, 64 - n % 64 + LOAD)
    window.latin = window.copy
    MASKS(window.latin, blocks + 1, window.masks)


cdef int64_t cut_window(const Text *text, int64_t origin, Window *window) noexcept nogil:
    cdef int64_t n = min(<int64_t>WINDOW, text.length - origin)
    cdef int64_t blocks = n // 64 + 1         # the last one holds ends at n
    cdef int64_t last, start
    classify(text, origin, n, window)
    if unlikely(has_neighbours(window, blocks)):
        mark_pairs(window, n)
    window.origin = origin
    window.giant = 0
    window.count = list_pieces(window, blocks)
    last = n - 1
    if origin + n == text.length or not window.masks[last >> 6].word & bit(last):
        return origin + n
    # The last word may continue after the window: it is left to the next one, unless it is the only
    # one.
    start = window.starts[window.count - 1]
    if start > 0:
        window.count -= 1
        return origin + start
    # Includes its last character again, which may be the first half of a `--`.
    if text.kind == 1:
        window.giant = word_end(<const uint8_t *>text.units, origin + last, text.length)
    elif text.kind == 2:
        window.giant = word_end(<const uint16_t *>text.units, origin + last, text.length)
    else:
        window.giant = word_end(<const uint32_t *>text.units, origin + last, text.length)
    return window.giant


# Copies every unit; a closer removes the whitespace copied just before it.
cdef int64_t close_up_units(
    const Unit *units, int64_t length, uint64_t closers, Unit *out
) noexcept nogil:
    cdef int64_t i, n = 0
    for i in range(length):
        if units[i] < 64 and closers >> units[i] & 1:
            while n > 0 and is_white(out[n - 1]):
                n -= 1
        out[n] = units[i]
        n += 1
    return n


cdef int64_t close_up(const Text *text, uint64_t closers, void *out) noexcept nogil:
    if text.kind == 1:
        return close_up_units(<const uint8_t *>text.units, text.length, closers, <uint8_t *>out)
    if text.kind == 2:
        return close_up_units(<const uint16_t *>text.units, text.length, closers, <uint16_t *>out)
    return close_up_units(<const uint32_t *>text.units, text.length, closers, <uint32_t *>out)


def masks_of(block, str path):
    """Return the class masks of 64 Latin-1 characters as one SIMD path computes them, for tests.

    None if `path` ("portable", "sse2", "avx2", "neon") does not run on this machine.
    """
    cdef Array bytes = array_of(block, ITEM_UINT8)
    cdef WordMasksFunction function = word_masks_function(path.encode())
    cdef WordMasks masks
    if bytes.count != 64:
        raise ValueError(f"a block has 64 bytes, this one {bytes.count}")
    if function == NULL:
        return None
    function(<const uint8_t *>bytes.at, 1, &masks)
    return masks
