/* Characters as atoms: merging begins with whole characters instead of their bytes.
 *
 * Let the *height* of a character of two or three bytes be the highest rank of the merges that make one
 * token of its bytes alone. Call it an *atom* of a text if
 * - it has a height, and all pairs that its token is in have higher ranks; and
 * - so have all tokens in the text that cover a part of the character and something beside it.
 * **Making the atoms first gives the same tokens.** As long as an atom is not made, one of its own pairs
 * can merge, at a rank of at most its height. So nothing merges with a part of it before, and no pair
 * that the atom is in would be next: what is next among all other pairs is the same whether the atom is
 * made already or not.
 *
 * The first condition is checked once per vocabulary. The second is checked by two bytes: a token that
 * has a part of a character and something beside it has the last byte of one character and the first
 * of the next.
 *
 * Two thirds of the merges of a word of three-byte characters are saved.
 */
#ifndef FASTPREP_ATOMS_H
#define FASTPREP_ATOMS_H

#include "base/bits.h"

#define ATOM_CODES 0x10000 /* code points of up to three bytes */

/* By two bytes, the last of one character << 8 | the first of the next: ~ the lowest rank of the tokens
 * that have both and a part of one of the characters only; 0 if there is none. */
typedef struct {
    uint32_t *tokens;  /* [ATOM_CODES] 1 + the token of a character, 0 for none; NULL: there are no atoms */
    uint32_t *heights; /* [ATOM_CODES], or NULL: the height is the number of the token */
    uint64_t *parted;  /* [256 * 256 bits] whether either of the next two has an entry */
    uint32_t *left;    /* [256 * 256] where a part of the character before is in the token */
    uint32_t *right;   /* [256 * 256] where a part of the character after is */
} Atoms;

static inline int is_continuation(uint8_t byte) { return (byte & 0xC0) == 0x80; }

/* The code point of a character of two or three bytes at the start of n, 0 if there is none. */
static inline uint32_t atom_code(const uint8_t *bytes, size_t n) {
    uint32_t code;
    if (bytes[0] < 0xC2 || bytes[0] > 0xEF || n < 2 || !is_continuation(bytes[1])) return 0;
    if (bytes[0] < 0xE0) return (bytes[0] & 0x1Fu) << 6 | (bytes[1] & 0x3Fu);
    if (n < 3 || !is_continuation(bytes[2])) return 0;
    code = (bytes[0] & 0x0Fu) << 12 | (bytes[1] & 0x3Fu) << 6 | (bytes[2] & 0x3Fu);
    return code < 0x800 ? 0 : code;
}

static inline size_t code_bytes(uint32_t code) { return code < 0x800 ? 2 : 3; }

static inline void set_parted(Atoms *self, uint32_t *side, const uint8_t *border, uint32_t rank) {
    uint32_t pair = (uint32_t)border[-1] << 8 | border[0];
    self->parted[pair >> 6] |= UINT64_C(1) << (pair & 63);
    if (~rank > side[pair]) side[pair] = ~rank;
}

/* Add the borders in a token, which is made at this rank, beside which it has a part of a character. */
static inline void add_parted(Atoms *self, const uint8_t *token, size_t n, uint32_t rank) {
    size_t i;
    if (is_continuation(token[0])) {
        for (i = 1; i < n && i < 3 && is_continuation(token[i]);) i++;
        if (i < n && !is_continuation(token[i])) set_parted(self, self->left, token + i, rank);
    }
    i = n - 1;
    if (i && is_continuation(token[i])) i--;
    if (i && token[i] >= 0xC2 && token[i] <= 0xEF && i + (token[i] < 0xE0 ? 2 : 3) > n)
        set_parted(self, self->right, token + i, rank);
}

/* Whether a border has an entry in the tables. A byte that continues no character is not what they are
 * about. */
static inline int may_be_parted(const Atoms *self, const uint8_t *border) {
    uint32_t pair = (uint32_t)border[-1] << 8 | border[0];
    return is_continuation(border[0]) | (int)(self->parted[pair >> 6] >> (pair & 63) & 1);
}

/* Whether a token may have a part of a character of this height, which is on this side of the border. */
static inline int is_parted(const uint32_t *side, const uint8_t *border, uint32_t height) {
    uint32_t pair = (uint32_t)border[-1] << 8 | border[0];
    return is_continuation(border[0]) || side[pair] >= ~height;
}

/* Write the tokens that merging begins with, atoms and single bytes, to out[n]; return their number. */
static inline size_t atoms_of(
    const Atoms *self, const uint32_t *byte_ranks, const uint8_t *bytes, size_t n, uint32_t *out) {
    size_t i = 0, count = 0, end;
    int before = 0, after; /* whether the borders of a character may be parted */
    while (i < n) {
        uint32_t code = atom_code(bytes + i, n - i), token = self->tokens[code], height;
        end = i + (code ? code_bytes(code) : 1);
        after = end < n && may_be_parted(self, bytes + end);
        if (token && unlikely(before | after)) {
            height = self->heights ? self->heights[code] : token - 1;
            if (before && is_parted(self->right, bytes + i, height)) token = 0;
            if (after && is_parted(self->left, bytes + end, height)) token = 0;
        }
        before = after;
        if (token) {
            out[count++] = token - 1;
            i = end;
        } else {
            while (i < end) out[count++] = byte_ranks[bytes[i++]];
        }
    }
    return count;
}

#endif
