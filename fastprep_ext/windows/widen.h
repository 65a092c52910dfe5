/* Tokens of any width -> the inputs and the targets of a window, widened, in one pass.
 *
 * One function for each width of a token and each width of an output. Both rows in one loop have
 * 1.2 times the speed of one after the other. Tried and dropped, uint16 to int64: AVX2 and AVX-512
 * (1.0 times: the stores are the bound), memcpy of the inputs to the targets one place on (1.2
 * times, but a sixth of the speed where the two lie 16 bytes apart modulo 4096).
 */
#ifndef FASTPREP_WIDEN_H
#define FASTPREP_WIDEN_H

#include <stdint.h>
#include <string.h>

/* Copies `count` pairs of neighbours: inputs[i] = tokens[i], targets[i] = tokens[i + 1].
 * Needs count + 1 tokens. Negative if a token is negative or above `last`, which INT64_MAX turns
 * into a mere look at the sign. */
typedef int64_t (*PairsFunction)(
    const void *tokens, int64_t count, void *inputs, void *targets, int64_t last);

/* LOOK is whether the type can hold a token that must be refused: if not, the loop is a copy. */
#define DEFINE_PAIRS(TOKEN, OUT, LOOK)                                                            \
    static int64_t pairs_##TOKEN##_##OUT(                                                         \
        const void *from, int64_t count, void *inputs, void *targets, int64_t last) {             \
        const TOKEN *restrict tokens = (const TOKEN *)from;                                       \
        OUT *restrict x = (OUT *)inputs;                                                          \
        OUT *restrict y = (OUT *)targets;                                                         \
        int64_t i, seen = (int64_t)tokens[count] | (last - (int64_t)tokens[count]);               \
        if (!(LOOK)) {                                                                            \
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

/* What stays as it is in the file: two copies, and a look where one is asked for. */
#define DEFINE_SAME(TOKEN, LOOK)                                                                  \
    static int64_t pairs_##TOKEN##_same(                                                          \
        const void *from, int64_t count, void *inputs, void *targets, int64_t last) {             \
        const TOKEN *tokens = (const TOKEN *)from;                                                \
        int64_t i, seen = (int64_t)tokens[count] | (last - (int64_t)tokens[count]);               \
        memcpy(inputs, tokens, count * sizeof(TOKEN));                                            \
        memcpy(targets, tokens + 1, count * sizeof(TOKEN));                                       \
        if (LOOK)                                                                                 \
            for (i = 0; i < count; i++)                                                           \
                seen |= (int64_t)tokens[i] | (last - (int64_t)tokens[i]);                         \
        return seen;                                                                              \
    }

#define DEFINE_TOKEN(TOKEN, LOOK)                                                                 \
    DEFINE_PAIRS(TOKEN, int64_t, LOOK)                                                            \
    DEFINE_PAIRS(TOKEN, int32_t, LOOK)                                                            \
    DEFINE_SAME(TOKEN, LOOK)

DEFINE_TOKEN(uint8_t, last < UINT8_MAX)
DEFINE_TOKEN(uint16_t, last < UINT16_MAX)
DEFINE_TOKEN(uint32_t, last < UINT32_MAX)
DEFINE_TOKEN(int32_t, 1)
DEFINE_TOKEN(int64_t, 1)

#define TABLE_ROW(TOKEN) {pairs_##TOKEN##_same, pairs_##TOKEN##_int32_t, pairs_##TOKEN##_int64_t}

/* The function for tokens of a kind (uint8, uint16, uint32, int32, int64) and an output (as they
 * are, int32, int64). */
static PairsFunction pairs_function(int kind, int out) {
    static const PairsFunction TABLE[5][3] = {
        TABLE_ROW(uint8_t), TABLE_ROW(uint16_t), TABLE_ROW(uint32_t),
        TABLE_ROW(int32_t), TABLE_ROW(int64_t),
    };
    return TABLE[kind][out];
}

#endif
