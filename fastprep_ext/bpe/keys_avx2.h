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

KEYS_TARGET static uint32_t slot_avx2(const Key *key, uint64_t mask) {
    return hash_avx2(vector_at(key)) & (uint32_t)mask;
}

KEYS_TARGET static void make_keys_avx2(const Line *lines, uint64_t mask, const uint8_t *text, size_t n,
                                       size_t begin, const size_t *ends, size_t pieces, Key *keys,
                                       uint32_t *slots) {
    size_t i, readable = pieces;
    /* Pieces with at least 16 bytes up to the end of the text. */
    while (readable && (readable > 1 ? ends[readable - 2] : begin) + 16 > n) readable--;
    for (i = 0; i < readable; begin = ends[i++]) {
        size_t length = ends[i] - begin;
        if (likely(length <= KEY_BYTES)) {
            __m128i key = _mm_and_si128(vector_at(text + begin), vector_at(&KEY_MASK[length].low));
            key = _mm_or_si128(key, vector_at(&KEY_MASK[length].zero));
            _mm_store_si128((__m128i *)&keys[i], key);
            slots[i] = hash_avx2(key) & (uint32_t)mask;
        } else {
            key_long(&keys[i], text + begin, length);
            slots[i] = slot_avx2(&keys[i], mask);
        }
        prefetch(&lines[slots[i]]);
    }
    for (; i < pieces; begin = ends[i++]) {
        key_of(&keys[i], text + begin, ends[i] - begin, n - begin);
        slots[i] = slot_avx2(&keys[i], mask);
        prefetch(&lines[slots[i]]);
    }
}

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

static const KeyPath KEYS_AVX2 = {slot_avx2, make_keys_avx2, look_avx2};

#undef KEYS_TARGET
