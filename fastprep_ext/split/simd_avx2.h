/* AVX2: 32 bytes per step. Built for every x86-64, called only if the CPU has it. */
#include <immintrin.h>

#define AVX2_TARGET __attribute__((target("avx2,bmi,popcnt")))

AVX2_TARGET static inline __m256i sixteen_twice(const uint8_t *table) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
}

AVX2_TARGET static inline __m256i classes_avx2(__m256i bytes) {
    __m256i halves = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0x0F));
    return _mm256_and_si256(_mm256_shuffle_epi8(sixteen_twice(LOW_HALF), bytes),
                            _mm256_shuffle_epi8(sixteen_twice(HIGH_HALF), halves));
}

/* The top bit of each byte, 64 of them. */
AVX2_TARGET static inline uint64_t top_bits(__m256i low, __m256i high) {
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

#define AVX2_BIT(low, high, bit) \
    top_bits(_mm256_slli_epi16((low), 7 - (bit)), _mm256_slli_epi16((high), 7 - (bit)))

AVX2_TARGET static void lanes_avx2(const uint8_t *block, Lanes *lanes) {
    __m256i low = _mm256_loadu_si256((const __m256i *)block);
    __m256i high = _mm256_loadu_si256((const __m256i *)(block + 32));
    __m256i classes = classes_avx2(low), more = classes_avx2(high);
    lanes->letter = AVX2_BIT(classes, more, 0) | AVX2_BIT(classes, more, 1);
    lanes->digit = AVX2_BIT(classes, more, 2);
    lanes->newline = AVX2_BIT(classes, more, 4);
    lanes->space = AVX2_BIT(classes, more, 5);
    lanes->white = lanes->space | AVX2_BIT(classes, more, 3);
    lanes->apostrophe = AVX2_BIT(classes, more, 6);
    lanes->slash = top_bits(classes, more);
    lanes->upper = lanes->letter & ~AVX2_BIT(low, high, 5);
    lanes->high = top_bits(low, high);
}

/* Bytes from `first` on, as many as `after` says. */
AVX2_TARGET static inline __m256i among_avx2(__m256i bytes, __m256i first, __m256i after) {
    __m256i distance = _mm256_sub_epi8(bytes, first);
    return _mm256_cmpeq_epi8(_mm256_min_epu8(distance, after), distance);
}

/* The entries of 64 for the low six bits of each byte. */
AVX2_TARGET static inline __m256i of_64_avx2(const __m256i table[4], __m256i bytes) {
    __m256i places = _mm256_and_si256(bytes, _mm256_set1_epi8(15));
    __m256i odd = _mm256_slli_epi16(bytes, 3); /* bit 4 of each byte as its top bit */
    __m256i low = _mm256_blendv_epi8(_mm256_shuffle_epi8(table[0], places),
                                     _mm256_shuffle_epi8(table[1], places), odd);
    __m256i high = _mm256_blendv_epi8(_mm256_shuffle_epi8(table[2], places),
                                      _mm256_shuffle_epi8(table[3], places), odd);
    return _mm256_blendv_epi8(low, high, _mm256_slli_epi16(bytes, 2));
}

AVX2_TARGET static void high_avx2(const uint8_t *block, const Kinds *kinds, High *high) {
    __m256i bytes = _mm256_loadu_si256((const __m256i *)block);
    __m256i more = _mm256_loadu_si256((const __m256i *)(block + 32));
    __m256i seconds = _mm256_loadu_si256((const __m256i *)(block + 1));
    __m256i more_seconds = _mm256_loadu_si256((const __m256i *)(block + 33));
    __m256i kind = _mm256_setzero_si256(), more_kinds = _mm256_setzero_si256();
    Leads leads = leads_of(top_bits(bytes, more), AVX2_BIT(bytes, more, 6), AVX2_BIT(bytes, more, 5),
                           AVX2_BIT(bytes, more, 4));
    uint64_t left = leads.two & ~leads.four;
    high_begin(high, &leads);
    while (__builtin_popcountll(left) > FEW_LEADS) {
        const uint8_t *first = block + _tzcnt_u64(left);
        size_t last;
        unsigned number = number_at(first, &last);
        const Neighbours *all = &kinds->neighbours[number];
        const uint8_t *of = kinds->of[number];
        __m256i table[4] = {sixteen_twice(of), sixteen_twice(of + 16), sixteen_twice(of + 32),
                            sixteen_twice(of + 48)};
        __m256i lead = _mm256_set1_epi8((char)all->lead), leads_after = _mm256_set1_epi8((char)all->leads_after);
        __m256i second = _mm256_set1_epi8((char)all->second);
        __m256i seconds_after = _mm256_set1_epi8((char)all->seconds_after);
        __m256i same = _mm256_and_si256(among_avx2(bytes, lead, leads_after),
                                        among_avx2(seconds, second, seconds_after));
        __m256i more_same = _mm256_and_si256(among_avx2(more, lead, leads_after),
                                             among_avx2(more_seconds, second, seconds_after));
        __m256i lasts = _mm256_loadu_si256((const __m256i *)(block + last));
        __m256i more_lasts = _mm256_loadu_si256((const __m256i *)(block + 32 + last));
        kind = _mm256_or_si256(kind, _mm256_and_si256(same, of_64_avx2(table, lasts)));
        more_kinds = _mm256_or_si256(more_kinds, _mm256_and_si256(more_same, of_64_avx2(table, more_lasts)));
        left &= left - 1; /* also where bytes are malformed */
        left &= ~top_bits(same, more_same);
    }
    if (left) {
        uint8_t found[64];
        _mm256_storeu_si256((__m256i *)found, kind);
        _mm256_storeu_si256((__m256i *)(found + 32), more_kinds);
        for (; left; left &= left - 1) {
            size_t at = _tzcnt_u64(left);
            found[at] = high_kind(kinds, block + at);
        }
        kind = _mm256_loadu_si256((const __m256i *)found);
        more_kinds = _mm256_loadu_si256((const __m256i *)(found + 32));
    }
    high_found(high, &leads, IS_LETTER, AVX2_BIT(kind, more_kinds, IS_LETTER));
    high_found(high, &leads, IS_FIRST, AVX2_BIT(kind, more_kinds, IS_FIRST));
    high_found(high, &leads, IS_SECOND, AVX2_BIT(kind, more_kinds, IS_SECOND));
    if (kinds->has_apart) high_found(high, &leads, IS_APART, AVX2_BIT(kind, more_kinds, IS_APART));
    high->rare |= AVX2_BIT(kind, more_kinds, IS_WHITE);
}

#undef AVX2_BIT

/* No branch per bit: twelve are usually enough, and twenty nearly always. */
AVX2_TARGET static size_t places_avx2(uint64_t bits, size_t first, size_t *places) {
    size_t count = (size_t)__builtin_popcountll(bits), i;
#pragma GCC unroll 12
    for (i = 0; i < 12; i++, bits &= bits - 1) places[i] = first + _tzcnt_u64(bits);
    if (count > 12) {
#pragma GCC unroll 8
        for (i = 12; i < 20; i++, bits &= bits - 1) places[i] = first + _tzcnt_u64(bits);
        for (i = 20; bits; bits &= bits - 1) places[i++] = first + _tzcnt_u64(bits);
    }
    return count;
}

static const SimdPath SIMD_AVX2 = {"avx2", lanes_avx2, places_avx2, high_avx2};

#undef AVX2_TARGET
