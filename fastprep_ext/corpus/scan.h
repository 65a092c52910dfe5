/* Scanning of runs of plain bytes, in which a reader of JSON strings spends its time. */
#ifndef FASTPREP_JSON_SCAN_H
#define FASTPREP_JSON_SCAN_H

#include "base/sixteen.h"

/* Plain bytes of a string: all but the quote, the backslash and U+0000-1F. */
static inline int is_plain(uint8_t c) { return c >= 0x20 && c != '"' && c != '\\'; }

#ifdef HAS_SIXTEEN
/* The bytes that are not plain. */
static inline Sixteen special16(Sixteen v) {
    Sixteen marks = either16(equal16(v, all16('"')), equal16(v, all16('\\')));
    return either16(up_to16(v, all16(0x1F)), marks);
}

/* Bit i: byte i of 64 is not plain. */
static inline uint64_t special64(const uint8_t *text) {
    SixtyFour all = load64s(text);
    int k;
    for (k = 0; k < 4; k++) all.part[k] = special16(all.part[k]);
    return bits64(all);
}
#endif

/* Return the index of the first byte from `i` on that is not plain; n if all are. */
static inline size_t skip_plain(const uint8_t *text, size_t i, size_t n) {
#ifdef HAS_SIXTEEN
    for (; i + 16 <= n; i += 16) {
        uint64_t special = bits16(special16(load16(text + i)));
        if (special) return i + place16(special);
    }
#endif
    while (i < n && is_plain(text[i])) i++;
    return i;
}

/* Return where the number at `i` ends, if it is digits, with a minus before or a point among them; `i` for
 * other numbers, and for what is none. */
static inline size_t skip_digits(const uint8_t *text, size_t i, size_t n) {
#ifdef HAS_SIXTEEN
    if (i + 64 <= n) {
        SixtyFour all = load64s(text + i);
        size_t begin = i + (text[i] == '-'), end;
        uint64_t others;
        int k;
        for (k = 0; k < 4; k++) all.part[k] = up_to16(minus16(all.part[k], all16('0')), all16(9));
        others = ~bits64(all) >> (begin - i);
        if (!others) return i;
        end = lowest_bit(others);
        if (end == 0 || (end > 1 && text[begin] == '0')) return i;
        if (text[begin + end] == '.') {
            others &= others - 1;
            if (!others || lowest_bit(others) == (int)end + 1) return i;
            end = lowest_bit(others);
        }
        if ((text[begin + end] | 0x20) != 'e') return begin + end;
    }
#endif
    return i;
}

/* The byte that a backslash and this letter stand for; 0 for letters that have no such meaning. */
static const uint8_t ESCAPED[256] = {
    ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b',
    ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};

/* 0x10 and the value of a hexadecimal digit; 0 for other bytes. */
static const uint8_t HEX[256] = {
    ['0'] = 0x10, ['1'] = 0x11, ['2'] = 0x12, ['3'] = 0x13, ['4'] = 0x14, ['5'] = 0x15,
    ['6'] = 0x16, ['7'] = 0x17, ['8'] = 0x18, ['9'] = 0x19, ['a'] = 0x1A, ['b'] = 0x1B,
    ['c'] = 0x1C, ['d'] = 0x1D, ['e'] = 0x1E, ['f'] = 0x1F, ['A'] = 0x1A, ['B'] = 0x1B,
    ['C'] = 0x1C, ['D'] = 0x1D, ['E'] = 0x1E, ['F'] = 0x1F};

/* The value of four hexadecimal digits; above 0xFFFF if they are not. */
static inline uint32_t four_digits(const uint8_t *text) {
    uint32_t a = HEX[text[0]], b = HEX[text[1]], c = HEX[text[2]], d = HEX[text[3]];
    if (!(a & b & c & d & 0x10)) return 1 << 16;
    return (a & 15) << 12 | (b & 15) << 8 | (c & 15) << 4 | (d & 15);
}

/* Decode the escape whose backslash is at `i`; two \u escapes may be one character. Returns its length,
 * 0 if it is none. */
static inline size_t escape_at(const uint8_t *text, size_t i, size_t n, uint32_t *point) {
    uint32_t low;
    if (i + 1 >= n) return 0;
    if (text[i + 1] != 'u') {
        *point = ESCAPED[text[i + 1]];
        return *point ? 2 : 0;
    }
    if (i + 6 > n) return 0;
    *point = four_digits(text + i + 2);
    if (*point > 0xFFFF) return 0;
    if (*point >> 11 != 0x1B) return 6;
    if (*point >= 0xDC00 || i + 12 > n || text[i + 6] != '\\' || text[i + 7] != 'u') return 0;
    low = four_digits(text + i + 8);
    if (low >> 10 != 0x37) return 0;
    *point = 0x10000 + ((*point - 0xD800) << 10) + (low - 0xDC00);
    return 12;
}

/* Return the index of the quote that ends a string without escapes, if it is among the next 16 bytes; else
 * 0. Most keys and values are so short; the function below is not inlined. */
static inline size_t skip_short_string(const uint8_t *text, size_t i, size_t n) {
#ifdef HAS_SIXTEEN
    if (i + 16 <= n) {
        uint64_t special = bits16(special16(load16(text + i)));
        if (special && text[i + place16(special)] == '"') return i + place16(special);
    }
#endif
    return 0;
}

/* Return the index of the first byte from `i` on that is neither plain nor of an escape; n if there is
 * none. Reports whether there are escapes. */
static __attribute__((noinline)) size_t skip_string_bytes(const uint8_t *text, size_t i, size_t n, int *escapes) {
    uint32_t point;
    size_t size;
    for (;;) {
#ifdef HAS_SIXTEEN
        /* Escapes are taken from the mask of their block: to scan again after each takes longer. */
        while (i + 64 <= n) {
            uint64_t special = special64(text + i);
            size_t k = 64;
            while (special) {
                k = lowest_bit(special);
                if (text[i + k] != '\\' || !(size = escape_at(text, i + k, n, &point))) return i + k;
                *escapes = 1;
                k += size;
                if (k >= 64) break;
                special = special >> k << k;
                if (!special) k = 64;
            }
            i += k;
        }
#endif
        i = skip_plain(text, i, n);
        if (i >= n || text[i] != '\\' || !(size = escape_at(text, i, n, &point))) return i;
        *escapes = 1;
        i += size;
    }
}

static inline uint8_t *put_utf8(uint8_t *out, uint32_t point) {
    if (point < 0x80) {
        *out++ = (uint8_t)point;
        return out;
    }
    if (point < 0x800) {
        *out++ = (uint8_t)(0xC0 | point >> 6);
    } else {
        if (point < 0x10000) {
            *out++ = (uint8_t)(0xE0 | point >> 12);
        } else {
            *out++ = (uint8_t)(0xF0 | point >> 18);
            *out++ = (uint8_t)(0x80 | (point >> 12 & 0x3F));
        }
        *out++ = (uint8_t)(0x80 | (point >> 6 & 0x3F));
    }
    *out++ = (uint8_t)(0x80 | (point & 0x3F));
    return out;
}

/* Write the characters of a run of escapes \uXXXX, U+0080 to U+FFFF without surrogates, and of the spaces
 * among them, as programs write most scripts. Returns where the run ends. */
static inline size_t copy_units(const uint8_t *text, size_t i, size_t n, uint8_t **out) {
    uint8_t *to = *out;
    uint32_t point, bytes;
    while (i + 8 <= n) {
        if (text[i] == ' ') {
            *to++ = text[i++];
            continue;
        }
        if (text[i] != '\\' || text[i + 1] != 'u') break;
        point = four_digits(text + i + 2);
        if (point - 0x80 < 0x800 - 0x80) {
            to[0] = (uint8_t)(0xC0 | point >> 6);
            to[1] = (uint8_t)(0x80 | (point & 0x3F));
            to += 2;
        } else {
            if (point - 0x800 >= 0x10000 - 0x800 || point >> 11 == 0x1B) break;
            bytes = 0x8080E0 | point >> 12 | (point >> 6 & 0x3F) << 8 | (point & 0x3F) << 16;
            memcpy(to, &bytes, 4);  /* the escape is longer, so there is room for the fourth */
            to += 3;
        }
        i += 6;
    }
    *out = to;
    return i;
}

/* As skip_plain, and copy the plain bytes to `out`, which must hold as many bytes as the text has left.
 * The high bits of all bytes are or-ed into `high`. */
static inline size_t copy_plain(
    const uint8_t *text, size_t i, size_t n, uint8_t *out, uint8_t *high) {
#ifdef HAS_SIXTEEN
    Sixteen above = all16(0);
    for (; i + 16 <= n; i += 16, out += 16) {
        Sixteen v = load16(text + i);
        uint64_t special = bits16(special16(v));
        store16(out, v);
        /* Bytes after the special one count, too: at worst UTF-8 is checked needlessly. */
        above = either16(above, v);
        if (special) {
            *high |= is_high16(above) ? 0x80 : 0;
            return i + place16(special);
        }
    }
    *high |= is_high16(above) ? 0x80 : 0;
#endif
    for (; i < n && is_plain(text[i]); i++) {
        *high |= text[i];
        *out++ = text[i];
    }
    return i;
}

/* As skip_string_bytes, and write what the bytes stand for; the end of what is written is `out`. */
static inline size_t copy_string_bytes(
    const uint8_t *text, size_t i, size_t n, uint8_t **out, uint8_t *high) {
    uint32_t point;
    size_t size, reached;
    for (;;) {
        reached = copy_plain(text, i, n, *out, high);
        *out += reached - i;
        i = reached;
        if (i >= n || text[i] != '\\') return i;
        do {  /* often one escape follows another */
            if (i + 1 < n && text[i + 1] == 'u') {
                i = copy_units(text, i, n, out);
                if (i >= n || text[i] != '\\') break;
            }
            if (!(size = escape_at(text, i, n, &point))) return i;
            *out = put_utf8(*out, point);
            i += size;
        } while (i < n && text[i] == '\\');
    }
}

#endif
