/* AVX2 and AES: a key is one vector, and two rounds of AES are its hash. (After one round, each 32
 * bits depend on only 4 bytes of the key.) */
#include <immintrin.h>

#define KEYS_TARGET __attribute__((target("avx2,aes")))

KEYS_TARGET static inline __m128i vector_at(const void *sixteen) {
    return _mm_loadu_si128((const __m128i *)sixteen);
}

KEYS_TARGET static inline uint32_t hash_avx2(__m128i key) {
    __m128i secret = _mm_set1_epi64x((int64_t)UINT64_C(0x8BB84B93962EACC9));
    key = _mm_aesenc_si128(_mm_aesenc_si128(key, secret), secret);
    return (uint32_t)_mm_cvtsi128_si32(key);
}

/* Write the key of a piece of 1 to 15 bytes, and return its hash; 16 bytes may be read. */
KEYS_TARGET static inline uint32_t key_hash_avx2(Key *key, const uint8_t *piece, size_t n) {
    __m128i bytes = _mm_and_si128(vector_at(piece), vector_at(&KEY_MASK[n].low));
    bytes = _mm_or_si128(bytes, vector_at(&KEY_MASK[n].zero));
    _mm_store_si128((__m128i *)key, bytes);
    return hash_avx2(bytes);
}

#define KEYS(name) name##_avx2
#include "keys_aes.h"
#undef KEYS

KEYS_TARGET static size_t look_avx2(const Line *lines, const Key *keys, const uint32_t *slots,
                                    size_t pieces, Value *found, uint32_t *missing) {
    size_t i, count = 0;
    for (i = 0; i < pieces; i++) {
        const Line *line = &lines[slots[i]];
        __m128i key = vector_at(&keys[i]);
        uint32_t same = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(key, vector_at(&line->newer.key)));
        const Entry *entry = &line->older + ((same + 1) >> 16);
        _mm_storeu_si128((__m128i *)&found[i], vector_at(&entry->value));
        same = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(key, vector_at(&entry->key)));
        missing[count] = (uint32_t)i;
        count += same != 0xFFFF;
    }
    return count;
}

static const KeyPath KEYS_AVX2 = {slot_avx2, make_keys_avx2, look_avx2, emit_avx2};

#undef KEYS_TARGET
