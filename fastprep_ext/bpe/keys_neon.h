/* NEON and its AES instructions: a key is one vector, and two rounds of AES are its hash, as in
 * keys_avx2.h; the look-up is the plain one, whose 64-bit comparisons are as few here. */
#include <arm_neon.h>

#if defined(__linux__)
#include <sys/auxv.h>
#define AES_OF_ARM (1 << 3) /* HWCAP_AES */
#endif

#if defined(__clang__)
#define KEYS_TARGET __attribute__((target("aes")))
#else
#define KEYS_TARGET __attribute__((target("+crypto")))
#endif

/* Every Apple processor has them; others say so. */
static int has_aes(void) {
#if defined(__APPLE__)
    return 1;
#elif defined(__linux__)
    return (getauxval(AT_HWCAP) & AES_OF_ARM) != 0;
#else
    return 0;
#endif
}

KEYS_TARGET static inline uint8x16_t key_vector(const void *sixteen) {
    return vld1q_u8((const uint8_t *)sixteen);
}

KEYS_TARGET static inline uint32_t hash_neon(uint8x16_t key) {
    const uint8x16_t secret = vreinterpretq_u8_u64(vdupq_n_u64(UINT64_C(0x8BB84B93962EACC9)));
    key = vaesmcq_u8(vaeseq_u8(key, secret));
    key = vaesmcq_u8(vaeseq_u8(key, secret));
    return vgetq_lane_u32(vreinterpretq_u32_u8(key), 0);
}

KEYS_TARGET static uint32_t slot_neon(const Key *key, uint64_t mask) {
    return hash_neon(key_vector(key)) & (uint32_t)mask;
}

KEYS_TARGET static void make_keys_neon(const Line *lines, uint64_t mask, const uint8_t *text, size_t n,
                                       size_t begin, const size_t *ends, size_t pieces, Key *keys,
                                       uint32_t *slots) {
    size_t i, readable = pieces;
    /* Pieces with at least 16 bytes up to the end of the text. */
    while (readable && (readable > 1 ? ends[readable - 2] : begin) + 16 > n) readable--;
    for (i = 0; i < readable; begin = ends[i++]) {
        size_t length = ends[i] - begin;
        if (likely(length <= KEY_BYTES)) {
            uint8x16_t key = vandq_u8(key_vector(text + begin), key_vector(&KEY_MASK[length].low));
            key = vorrq_u8(key, key_vector(&KEY_MASK[length].zero));
            vst1q_u8((uint8_t *)&keys[i], key);
            slots[i] = hash_neon(key) & (uint32_t)mask;
        } else {
            key_long(&keys[i], text + begin, length);
            slots[i] = slot_neon(&keys[i], mask);
        }
        prefetch(&lines[slots[i]]);
    }
    for (; i < pieces; begin = ends[i++]) {
        key_of(&keys[i], text + begin, ends[i] - begin, n - begin);
        slots[i] = slot_neon(&keys[i], mask);
        prefetch(&lines[slots[i]]);
    }
}

static const KeyPath KEYS_NEON = {slot_neon, make_keys_neon, look_plain};

#undef KEYS_TARGET
