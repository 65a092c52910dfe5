/* Tokens of any width -> the inputs and the targets of a window, widened, in one pass.
 *
 * One function for each width of a token, each width of an output and each CPU. GCC's baseline
 * for x86-64 is SSE2, which has no instruction that widens: with AVX2 a shuffled batch is 1.4
 * times as fast for uint16. Tried and dropped: AVX-512 (1.0 times), one row after the other (0.8
 * times), memcpy of the inputs to the targets one place on (1.2 times, but a sixth of the speed
 * where the two lie 16 bytes apart modulo 4096).
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
#define PAIRS_BODY(TOKEN, OUT, LOOK)                                                              \
    const TOKEN *restrict tokens = (const TOKEN *)from;                                           \
    OUT *restrict x = (OUT *)inputs;                                                              \
    OUT *restrict y = (OUT *)targets;                                                             \
    int64_t i, seen = (int64_t)tokens[count] | (last - (int64_t)tokens[count]);                   \
    if (!(LOOK)) {                                                                                \
        for (i = 0; i < count; i++) {                                                             \
            x[i] = (OUT)tokens[i];                                                                \
            y[i] = (OUT)tokens[i + 1];                                                            \
        }                                                                                         \
        return seen;                                                                              \
    }                                                                                             \
    for (i = 0; i < count; i++) {                                                                 \
        int64_t token = (int64_t)tokens[i];                                                       \
        x[i] = (OUT)tokens[i];                                                                    \
        y[i] = (OUT)tokens[i + 1];                                                                \
        seen |= token | (last - token);                                                           \
    }                                                                                             \
    return seen;

#define DEFINE_PAIRS(CPU, TARGET, TOKEN, OUT, LOOK)                                               \
    TARGET static int64_t pairs_##TOKEN##_##OUT##_##CPU(                                          \
        const void *from, int64_t count, void *inputs, void *targets, int64_t last) {             \
        PAIRS_BODY(TOKEN, OUT, LOOK)                                                              \
    }

/* What stays as it is in the file: two copies, and a look where one is asked for. */
#define DEFINE_SAME(CPU, TARGET, TOKEN, LOOK)                                                     \
    TARGET static int64_t pairs_##TOKEN##_same_##CPU(                                             \
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

#define DEFINE_TOKEN(CPU, TARGET, TOKEN, LOOK)                                                    \
    DEFINE_PAIRS(CPU, TARGET, TOKEN, int64_t, LOOK)                                               \
    DEFINE_PAIRS(CPU, TARGET, TOKEN, int32_t, LOOK)                                               \
    DEFINE_SAME(CPU, TARGET, TOKEN, LOOK)

#define DEFINE_CPU(CPU, TARGET)                                                                   \
    DEFINE_TOKEN(CPU, TARGET, uint8_t, last < UINT8_MAX)                                          \
    DEFINE_TOKEN(CPU, TARGET, uint16_t, last < UINT16_MAX)                                        \
    DEFINE_TOKEN(CPU, TARGET, uint32_t, last < UINT32_MAX)                                        \
    DEFINE_TOKEN(CPU, TARGET, int32_t, 1)                                                         \
    DEFINE_TOKEN(CPU, TARGET, int64_t, 1)

#define TABLE_ROW(CPU, TOKEN)                                                                     \
    {pairs_##TOKEN##_same_##CPU, pairs_##TOKEN##_int32_t_##CPU, pairs_##TOKEN##_int64_t_##CPU}
#define TABLE(CPU)                                                                                \
    {TABLE_ROW(CPU, uint8_t), TABLE_ROW(CPU, uint16_t), TABLE_ROW(CPU, uint32_t),                 \
     TABLE_ROW(CPU, int32_t), TABLE_ROW(CPU, int64_t)}

DEFINE_CPU(plain, )
static const PairsFunction PAIRS_PLAIN[5][3] = TABLE(plain);
#if defined(__x86_64__)
DEFINE_CPU(avx2, __attribute__((target("avx2"))))
static const PairsFunction PAIRS_AVX2[5][3] = TABLE(avx2);
#endif

/* The function for tokens of a kind (uint8, uint16, uint32, int32, int64) and an output (as they
 * are, int32, int64); `simd` is what FASTPREP_SIMD says,
 * "portable" and "sse2" for the plain loops, or anything else for the best there is. */
static PairsFunction pairs_function(int kind, int out, const char *simd) {
#if defined(__x86_64__)
    if (strcmp(simd, "portable") && strcmp(simd, "sse2") && __builtin_cpu_supports("avx2"))
        return PAIRS_AVX2[kind][out];
#endif
    return PAIRS_PLAIN[kind][out];
}

#endif
