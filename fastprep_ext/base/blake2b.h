/* BLAKE2b (RFC 7693) without a key. */
#ifndef FASTPREP_BLAKE2B_H
#define FASTPREP_BLAKE2B_H

#include <stdint.h>
#include <string.h>

#define BLAKE2B_BLOCK 128

static inline uint64_t rotate_right(uint64_t value, int by) { return value >> by | value << (64 - by); }

#define BLAKE2B_MIX(a, b, c, d, x, y) do { \
    a += b + (x); d = rotate_right(d ^ a, 32); c += d; b = rotate_right(b ^ c, 24); \
    a += b + (y); d = rotate_right(d ^ a, 16); c += d; b = rotate_right(b ^ c, 63); } while (0)

/* Mixes a block into the state h; `counted` bytes of the text come before its end. */
static void blake2b_compress(uint64_t h[8], const uint8_t *block, uint64_t counted, int last) {
    static const uint64_t IV[8] = {
        UINT64_C(0x6A09E667F3BCC908), UINT64_C(0xBB67AE8584CAA73B), UINT64_C(0x3C6EF372FE94F82B),
        UINT64_C(0xA54FF53A5F1D36F1), UINT64_C(0x510E527FADE682D1), UINT64_C(0x9B05688C2B3E6C1F),
        UINT64_C(0x1F83D9ABFB41BD6B), UINT64_C(0x5BE0CD19137E2179)};
    static const uint8_t SIGMA[10][16] = {
        {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
        {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
        {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
        {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
        {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
        {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
        {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
        {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
        {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
        {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};
    uint64_t v[16], m[16];
    memcpy(m, block, BLAKE2B_BLOCK);  /* little-endian, as every machine this is built for */
    for (int i = 0; i < 8; i++) { v[i] = h[i]; v[i + 8] = IV[i]; }
    v[12] ^= counted;
    if (last) v[14] = ~v[14];
    #pragma GCC unroll 12
    for (int round = 0; round < 12; round++) {
        const uint8_t *s = SIGMA[round % 10];
        BLAKE2B_MIX(v[0], v[4], v[8], v[12], m[s[0]], m[s[1]]);
        BLAKE2B_MIX(v[1], v[5], v[9], v[13], m[s[2]], m[s[3]]);
        BLAKE2B_MIX(v[2], v[6], v[10], v[14], m[s[4]], m[s[5]]);
        BLAKE2B_MIX(v[3], v[7], v[11], v[15], m[s[6]], m[s[7]]);
        BLAKE2B_MIX(v[0], v[5], v[10], v[15], m[s[8]], m[s[9]]);
        BLAKE2B_MIX(v[1], v[6], v[11], v[12], m[s[10]], m[s[11]]);
        BLAKE2B_MIX(v[2], v[7], v[8], v[13], m[s[12]], m[s[13]]);
        BLAKE2B_MIX(v[3], v[4], v[9], v[14], m[s[14]], m[s[15]]);
    }
    for (int i = 0; i < 8; i++) h[i] ^= v[i] ^ v[i + 8];
}

/* The digest, of 1 to 64 bytes, in the first `size` bytes of h. */
static void blake2b_of(const uint8_t *text, size_t n, size_t size, uint64_t h[8]) {
    static const uint64_t BEGIN[8] = {
        UINT64_C(0x6A09E667F3BCC908) ^ UINT64_C(0x01010000), UINT64_C(0xBB67AE8584CAA73B),
        UINT64_C(0x3C6EF372FE94F82B), UINT64_C(0xA54FF53A5F1D36F1), UINT64_C(0x510E527FADE682D1),
        UINT64_C(0x9B05688C2B3E6C1F), UINT64_C(0x1F83D9ABFB41BD6B), UINT64_C(0x5BE0CD19137E2179)};
    uint8_t block[BLAKE2B_BLOCK] = {0};
    size_t at = 0;
    memcpy(h, BEGIN, sizeof(BEGIN));
    h[0] ^= size;
    for (; n - at > BLAKE2B_BLOCK; at += BLAKE2B_BLOCK)
        blake2b_compress(h, text + at, at + BLAKE2B_BLOCK, 0);
    if (n > at) memcpy(block, text + at, n - at);
    blake2b_compress(h, block, n, 1);
}

/* The digest of 8 bytes as a big-endian number. */
static uint64_t blake2b_8(const uint8_t *text, size_t n) {
    uint64_t h[8];
    blake2b_of(text, n, 8, h);
    return __builtin_bswap64(h[0]);
}

#endif
