/* Tokens of any width -> inputs and targets of a window, widened, in one pass.
 *
 * One function per width of a token and of an output. Both rows in one loop take 1 / 1.2 of the
 * time of two loops. Tried and dropped, for uint16 to int64: AVX2 and AVX-512 (1.0 times: bound by
 * stores), memcpy of the inputs to the targets one place later (1.2 times the speed, but a sixth of
 * it if the two are 16 bytes apart modulo 4096).
 */
#ifndef FASTPREP_WIDEN_H
#define FASTPREP_WIDEN_H

#include <stdint.h>
#include <string.h>

/* Copies `count` pairs of neighbours: inputs[i] = tokens[i], targets[i] = tokens[i + 1].
 * Needs count + 1 tokens. Negative if a token is negative or above `last`; with INT64_MAX only
 * the sign is checked. */
typedef int64_t (*PairsFunction)(
    const void *tokens, int64_t count, void *inputs, void *targets, int64_t last);

/* CHECK: whether the type can hold a token that must be rejected; if not, the loop is a copy. */
#define DEFINE_PAIRS(TOKEN, OUT, CHECK)                                                            \
    static int64_t pairs_##TOKEN##_##OUT(                                                         \
        const void *from, int64_t count, void *inputs, void *targets, int64_t last) {             \
        const TOKEN *restrict tokens = (const TOKEN *)from;                                       \
        OUT *restrict x = (OUT *)inputs;                                                          \
        OUT *restrict y = (OUT *)targets;                                                         \
        int64_t i, seen = (int64_t)tokens[count] | (last - (int64_t)tokens[count]);               \
        if (!(CHECK)) {                                                                            \
            for (i = 0; i < count; i++) {                                                         \
                x[i] = (OUT)tokens[i];                                                            \
                y[i] = (OUT)tokens[i + 1];                                                        \
            }                                                                                     \
            return seen;                                                                          \
        }                                                                                         \
        for (i = 0; i < count; i++) {                                                             \
            int64_t token = (int64_t)tokens[i];                                                   \
            x[i] = (OUT)tokens[i];                                                                \
            y[i] = (OUT)tokens[i + 1];                                                            \
            seen |= token | (last - token);                                                       \
        }                                                                                         \
        return seen;                                                                              \
    }

/* Tokens of the stored width: two copies, and a check if needed. */
#define DEFINE_SAME(TOKEN, CHECK)                                                                  \
    static int64_t pairs_##TOKEN##_same(                                                          \
        const void *from, int64_t count, void *inputs, void *targets, int64_t last) {             \
        const TOKEN *tokens = (const TOKEN *)from;                                                \
        int64_t i, seen = (int64_t)tokens[count] | (last - (int64_t)tokens[count]);               \
        memcpy(inputs, tokens, count * sizeof(TOKEN));                                            \
        memcpy(targets, tokens + 1, count * sizeof(TOKEN));                                       \
        if (CHECK)                                                                                 \
            for (i = 0; i < count; i++)                                                           \
                seen |= (int64_t)tokens[i] | (last - (int64_t)tokens[i]);                         \
        return seen;                                                                              \
    }

#define DEFINE_TOKEN(TOKEN, CHECK)                                                                 \
    DEFINE_PAIRS(TOKEN, int64_t, CHECK)                                                            \
    DEFINE_PAIRS(TOKEN, int32_t, CHECK)                                                            \
    DEFINE_SAME(TOKEN, CHECK)

DEFINE_TOKEN(uint8_t, last < UINT8_MAX)
DEFINE_TOKEN(uint16_t, last < UINT16_MAX)
DEFINE_TOKEN(uint32_t, last < UINT32_MAX)
DEFINE_TOKEN(int32_t, 1)
DEFINE_TOKEN(int64_t, 1)

#define TABLE_ROW(TOKEN) {pairs_##TOKEN##_same, pairs_##TOKEN##_int32_t, pairs_##TOKEN##_int64_t}

/* The function for a kind of tokens (uint8, uint16, uint32, int32, int64) and of output (the stored
 * one, int32, int64). */
static PairsFunction pairs_function(int kind, int out) {
    static const PairsFunction TABLE[5][3] = {
        TABLE_ROW(uint8_t), TABLE_ROW(uint16_t), TABLE_ROW(uint32_t),
        TABLE_ROW(int32_t), TABLE_ROW(int64_t),
    };
    return TABLE[kind][out];
}

#endif
