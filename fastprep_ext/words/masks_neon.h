/* NEON: four vectors per block. */
#include "base/neon.h"

static void word_masks_neon(const uint8_t *latin, int64_t blocks, WordMasks *masks) {
    const uint8x16_t low = vld1q_u8(WORD_LOW), high = vld1q_u8(WORD_HIGH);
    uint8x16_t c[4], words[4], opens[4];
    int i;
    for (; blocks > 0; blocks--, latin += 64, masks++) {
        const Block bytes = vld4q_u8(latin);
        for (i = 0; i < 4; i++) {
            c[i] = classes_neon(low, high, vandq_u8(bytes.val[i], vdupq_n_u8(15)), bytes.val[i]);
            /* As signed bytes: a dash is negative, a word's character 0. */
            words[i] = vcgtq_s8(vreinterpretq_s8_u8(c[i]), vdupq_n_s8(0));
            opens[i] = vcgtq_s8(vreinterpretq_s8_u8(c[i]), vdupq_n_s8(15));
        }
        masks->word = ~top_bits_neon(words[0], words[1], words[2], words[3]);
        masks->opens = masks->closes = top_bits_neon(opens[0], opens[1], opens[2], opens[3]);
        masks->dash = top_bits_neon(c[0], c[1], c[2], c[3]);
    }
}
