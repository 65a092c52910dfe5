"""The row of each token of a list of merges."""

# Codes between the bytes of merges.
cdef enum:
    CODE_NO_BYTE = 256
    CODE_SPACE = 257
    CODE_END = 258

NO_BYTE = CODE_NO_BYTE
SPACE = CODE_SPACE
END_OF_MERGE = CODE_END

cdef enum:
    MERGE_NOT_TWO = 1      # not two tokens with one space between them
    MERGE_NO_LEFT = 2
    MERGE_NO_RIGHT = 3
    MERGE_NO_MADE = 4


# Find the rows of merges: left, right, and the token that they make. `scratch` must hold n bytes. 0,
# or the error of merge number count[0].
cdef int find_merge_rows(
    const Ranks *ranks, const uint16_t *codes, size_t n, uint8_t *scratch, uint32_t *rows,
    size_t capacity, size_t *count
) noexcept nogil:
    cdef size_t at = 0, length, left
    cdef uint32_t *row
    cdef int spaces, strange
    count[0] = 0
    while at < n and count[0] < capacity:
        length = left = 0
        spaces = strange = 0
        while at < n and codes[at] != CODE_END:
            if codes[at] == CODE_SPACE:
                spaces += 1
                left = length
            elif codes[at] == CODE_NO_BYTE:
                strange += 1
            else:
                scratch[length] = <uint8_t>codes[at]
                length += 1
            at += 1
        at += 1
        if spaces != 1:
            return MERGE_NOT_TWO
        row = rows + 3 * count[0]
        row[0] = ranks_find(ranks, scratch, left) if left else NO_RANK
        row[1] = ranks_find(ranks, scratch + left, length - left) if length > left else NO_RANK
        row[2] = ranks_find(ranks, scratch, length) if length else NO_RANK
        if strange or row[0] == NO_RANK:
            return MERGE_NO_LEFT
        if row[1] == NO_RANK:
            return MERGE_NO_RIGHT
        if row[2] == NO_RANK:
            return MERGE_NO_MADE
        count[0] += 1
    return 0


cdef class TokenRows:
    """Tokens of a vocabulary, looked up by their bytes.

    Parameters
    ----------
    blob : bytes
        All tokens' bytes, back to back.
    ends : buffer of uint64, [n]
        End of each token in `blob`; none may be empty.

    Raises
    ------
    BadVocabulary
        For too many tokens, a token that occurs twice, or tokens crafted to collide.
    """

    cdef Ranks ranks
    cdef bytes _blob
    cdef Array _ends

    def __cinit__(self, bytes blob not None, ends):
        cdef Array held = array_of(ends, ITEM_UINT64)
        cdef const uint64_t *end = <const uint64_t *>held.at
        cdef size_t n = held.count
        cdef int status
        if n == 0 or n > MAX_TOKENS or end[n - 1] != <size_t>len(blob):
            raise BadVocabulary(f"{n} tokens; a vocabulary has 1 to {MAX_TOKENS}")
        self._blob = blob
        self._ends = held
        self.ranks.n = n
        self.ranks.blob = <const uint8_t *><char *>blob
        self.ranks.ends = end
        with nogil:
            status = ranks_build_pieces(&self.ranks)
        if status == RANKS_DUPLICATE:
            raise BadVocabulary("the same token is listed twice; remove one")
        if status == RANKS_TOO_MANY_PAIRS:
            raise BadVocabulary("its tokens are too long and too similar to be looked up")
        if status != 0:
            raise MemoryError("no memory for the tokens")

    def __dealloc__(self):
        ranks_free(&self.ranks)

    def find(self, token) -> int:
        """Return the row of a token, or -1."""
        cdef Array bytes = array_of(token, ITEM_UINT8)
        cdef uint32_t row = NO_RANK
        if bytes.count:
            row = ranks_find(&self.ranks, <const uint8_t *>bytes.at, bytes.count)
        return -1 if row == NO_RANK else row

    def of_merges(self, codes, rows) -> tuple:
        """Find the rows of merges: each is two tokens with SPACE between them, and END_OF_MERGE
        separates merges.

        Fills `rows`, [3 * m], with the rows of the two tokens and of the token they make. Returns 0
        and the number of merges, or an error and the number of the merge: 1 if there are not two
        tokens; 2 to 4 if the left token, the right one or the one they make is not in the
        vocabulary.
        """
        cdef Array held = array_of(codes, ITEM_UINT16), out = array_of(rows, ITEM_UINT32, True)
        cdef size_t n = held.count, count = 0
        cdef Memory scratch = allocate(n)
        cdef int status
        with nogil:
            status = find_merge_rows(
                &self.ranks, <const uint16_t *>held.at, n, <uint8_t *>scratch.at,
                <uint32_t *>out.at, out.count // 3, &count,
            )
        return status, count


# -- tokens and merges in JSON ---------------------------------------------------------------------

cdef enum:
    MAX_JSON_STRING = 1 << 16


cdef inline size_t skip_white(const uint8_t *text, size_t n, size_t at) noexcept nogil:
    while at < n and (text[at] == c' ' or text[at] == c'\n' or text[at] == c'\r' or text[at] == c'\t'):
        at += 1
    return at


cdef inline int hex_value(uint8_t byte) noexcept nogil:
    if c'0' <= byte <= c'9':
        return byte - c'0'
    byte |= 0x20
    return byte - c'a' + 10 if c'a' <= byte <= c'f' else -1


# Write the codes of the characters of a string, whose quote is at text[at]. Returns where the string
# ends, after its quote; 0 for what is not such a string, or is a rare one: those are read elsewhere.
cdef size_t read_string(
    const uint8_t *text, size_t n, size_t at, const uint16_t *code_of, uint16_t *out, size_t *count
) noexcept nogil:
    cdef uint32_t point
    cdef int length, k, value
    count[0] = 0
    if at >= n or text[at] != c'"':
        return 0
    at += 1
    while at < n and count[0] < MAX_JSON_STRING:
        point = text[at]
        if point == c'"':
            return at + 1
        if point < 0x20:
            return 0
        if point == c'\\':
            if at + 1 >= n:
                return 0
            point = text[at + 1]
            at += 2
            if point == c'u':
                if at + 4 > n:
                    return 0
                point = 0
                for k in range(4):
                    value = hex_value(text[at + k])
                    if value < 0:
                        return 0
                    point = point << 4 | <uint32_t>value
                at += 4
                if 0xD800 <= point < 0xE000:
                    return 0
            elif point != c'"' and point != c'\\' and point != c'/':
                return 0
        elif point < 0x80:
            at += 1
        else:
            length = utf8_decode(text + at, n - at, &point)
            if length == 0:
                return 0
            at += length
        out[count[0]] = code_of[point] if point < 0x10000 else <uint16_t>CODE_NO_BYTE
        count[0] += 1
    return 0


cdef class Json:
    """Readers of the large parts of a vocabulary in JSON, without an object per token.

    They take what programs write, and return -1 for anything else, so that it is read, or refused with
    the place, by a reader of all of JSON.

    Parameters
    ----------
    codes : buffer of uint16, [65536]
        The code of each UTF-16 unit: a byte, SPACE, END_OF_MERGE or NO_BYTE.
    """

    cdef Array codes
    cdef Memory scratch

    def __cinit__(self, codes):
        self.codes = array_of(codes, ITEM_UINT16)
        if self.codes.count != 1 << 16:
            raise ValueError(f"{self.codes.count} codes")
        self.scratch = allocate(2 * (MAX_JSON_STRING + 1))

    def tokens(self, text, blob, ends, ids, others) -> tuple:
        """Read an object from tokens to ids.

        Fills `blob`, as long as the text, and `ends` and `ids` with the tokens of bytes, and `others`,
        [3 * m], with the first byte, the end, and the id of the others. Returns the numbers of both.
        """
        cdef Array held = array_of(text, ITEM_UINT8), out = array_of(blob, ITEM_UINT8, True)
        cdef Array held_ends = array_of(ends, ITEM_UINT64, True), held_ids = array_of(ids, ITEM_UINT32, True)
        cdef Array held_others = array_of(others, ITEM_UINT64, True)
        cdef const uint8_t *json = <const uint8_t *>held.at
        cdef uint8_t *bytes = <uint8_t *>out.at
        cdef uint64_t *other = <uint64_t *>held_others.at
        cdef uint16_t *codes = <uint16_t *>self.scratch.at
        cdef size_t n = held.count, at, start, length, k, size = 0, count = 0, strange = 0, digits
        cdef uint32_t id
        cdef uint16_t all
        if out.count < held.count or held_ends.count != held_ids.count:
            raise ValueError(f"room for {out.count} bytes, {held_ends.count} ends, {held_ids.count} ids")
        at = skip_white(json, n, 0)
        if at >= n or json[at] != c'{':
            return -1, 0
        at += 1
        while True:
            start = skip_white(json, n, at)
            at = read_string(json, n, start, <const uint16_t *>self.codes.at, codes, &length)
            if at == 0:
                return -1, 0
            k = at
            at = skip_white(json, n, at)
            if at >= n or json[at] != c':':
                return -1, 0
            at = skip_white(json, n, at + 1)
            id = 0
            digits = at
            while at < n and c'0' <= json[at] <= c'9' and at - digits < 8:
                id = 10 * id + (json[at] - c'0')
                at += 1
            if at == digits or (json[digits] == c'0' and at - digits > 1):
                return -1, 0
            if 3 * strange + 3 > <size_t>held_others.count or count >= <size_t>held_ids.count:
                return -1, 0
            other[3 * strange] = start
            other[3 * strange + 1] = k
            other[3 * strange + 2] = id
            all = 0
            for k in range(length):
                bytes[size + k] = <uint8_t>codes[k]
                all |= codes[k]
            if all > 0xFF or length == 0:
                strange += 1
            else:
                size += length
                (<uint64_t *>held_ends.at)[count] = size
                (<uint32_t *>held_ids.at)[count] = id
                count += 1
            at = skip_white(json, n, at)
            if at < n and json[at] == c',':
                at += 1
                continue
            if at >= n or json[at] != c'}' or skip_white(json, n, at + 1) < n:
                return -1, 0
            break
        return count, strange

    def merges(self, text, codes) -> tuple:
        """Read an array of merges, as strings or pairs, as the codes that `TokenRows.of_merges` takes.

        Fills `codes`, as long as the text. Returns the numbers of merges and codes.
        """
        cdef Array held = array_of(text, ITEM_UINT8), out = array_of(codes, ITEM_UINT16, True)
        cdef const uint8_t *json = <const uint8_t *>held.at
        cdef uint16_t *to = <uint16_t *>out.at
        cdef uint16_t *read = <uint16_t *>self.scratch.at
        cdef size_t n = held.count, at, length, k, part, parts, written = 0, count = 0
        cdef bint is_pair
        if out.count < held.count:
            raise ValueError(f"room for {out.count} codes of {held.count} bytes")
        at = skip_white(json, n, 0)
        if at >= n or json[at] != c'[':
            return -1, 0
        at += 1
        while True:
            at = skip_white(json, n, at)
            is_pair = at < n and json[at] == c'['
            at += is_pair
            parts = 2 if is_pair else 1
            for part in range(parts):
                at = skip_white(json, n, at)
                if part:
                    if at >= n or json[at] != c',':
                        return -1, 0
                    at = skip_white(json, n, at + 1)
                    to[written] = CODE_SPACE
                    written += 1
                at = read_string(json, n, at, <const uint16_t *>self.codes.at, read, &length)
                if at == 0:
                    return -1, 0
                for k in range(length):
                    if read[k] == CODE_END:
                        return -1, 0
                    to[written + k] = read[k]
                written += length
            if is_pair:
                at = skip_white(json, n, at)
                if at >= n or json[at] != c']':
                    return -1, 0
                at += 1
            to[written] = CODE_END
            written += 1
            count += 1
            at = skip_white(json, n, at)
            if at < n and json[at] == c',':
                at += 1
                continue
            if at >= n or json[at] != c']' or skip_white(json, n, at + 1) < n:
                return -1, 0
            break
        return count, written
