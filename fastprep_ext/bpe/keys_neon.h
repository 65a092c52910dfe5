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

KEYS_TARGET static inline uint8x16_t vector_at(const void *sixteen) {
    return vld1q_u8((const uint8_t *)sixteen);
}

KEYS_TARGET static inline uint32_t hash_neon(uint8x16_t key) {
    const uint8x16_t secret = vreinterpretq_u8_u64(vdupq_n_u64(UINT64_C(0x8BB84B93962EACC9)));
    key = vaesmcq_u8(vaeseq_u8(key, secret));
    key = vaesmcq_u8(vaeseq_u8(key, secret));
    return vgetq_lane_u32(vreinterpretq_u32_u8(key), 0);
}

/* Write the key of a piece of 1 to 15 bytes, and return its hash; 16 bytes may be read. */
KEYS_TARGET static inline uint32_t key_hash_neon(Key *key, const uint8_t *piece, size_t n) {
    uint8x16_t bytes = vandq_u8(vector_at(piece), vector_at(&KEY_MASK[n].low));
    bytes = vorrq_u8(bytes, vector_at(&KEY_MASK[n].zero));
    vst1q_u8((uint8_t *)key, bytes);
    return hash_neon(bytes);
}

#define KEYS(name) name##_neon
#include "keys_aes.h"
#undef KEYS

static const KeyPath KEYS_NEON = {slot_neon, make_keys_neon, look_plain, emit_neon};

#undef KEYS_TARGET
