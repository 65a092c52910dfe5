/* Operations that C has no portable name for. */
#ifndef FASTPREP_BITS_H
#define FASTPREP_BITS_H

#include <stdint.h>
#include <string.h>

#if !defined(__GNUC__)
#error "fastprep builds with GCC or Clang: it uses their __builtin functions and 128-bit integers"
#endif
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "fastprep packs text into integers in little-endian order; this machine has another"
#endif

/* Not a token, not a pair. */
#define NO_RANK UINT32_MAX

/* Index of the lowest set bit; x must not be 0. */
static inline int lowest_bit(uint64_t x) { return __builtin_ctzll(x); }
/* Index of the highest set bit; x must not be 0. */
static inline int highest_bit(uint64_t x) { return 63 - __builtin_clzll(x); }

static inline int likely(int x) { return __builtin_expect(x, 1); }
static inline int unlikely(int x) { return __builtin_expect(x, 0); }

static inline void prefetch(const void *p) { __builtin_prefetch(p); }

static inline uint32_t load32(const void *p) {
    uint32_t x;
    memcpy(&x, p, 4);
    return x;
}

static inline uint64_t load64(const void *p) {
    uint64_t x;
    memcpy(&x, p, 8);
    return x;
}

/* High and low half of the 128-bit product, folded: a cheap hash of two words (the idea of wyhash). */
static inline uint64_t mul_fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* High half of the 128-bit product: maps a uniform `a` to 0..b-1 without a division. */
static inline uint64_t scale_down(uint64_t a, uint64_t b) {
    return (uint64_t)(((unsigned __int128)a * b) >> 64);
}

/* (a * b + add) / d, exact; the quotient must fit. */
static inline uint64_t mul_div(uint64_t a, uint64_t b, uint64_t add, uint64_t d) {
    return (uint64_t)(((unsigned __int128)a * b + add) / d);
}

/* Load with acquire order: sees what the writing thread wrote before. */
static inline int64_t load_acquire(const int64_t *place) {
    return __atomic_load_n(place, __ATOMIC_ACQUIRE);
}

/* Spin-wait hint: yields to the core's other hardware thread. */
static inline void pause_core(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* a == b ? same : other, without a branch: the outcome is unpredictable, and compilers turn ?: into a
 * branch here. */
static inline const void *choose(uint32_t a, uint32_t b, const void *same, const void *other) {
#if defined(__x86_64__)
    __asm__("cmpl %2, %1\n\tcmoveq %3, %0" : "+r"(other) : "r"(a), "ri"(b), "r"(same) : "cc");
    return other;
#else
    uintptr_t mask = (uintptr_t) - (intptr_t)(a == b);
    return (const void *)(((uintptr_t)same & mask) | ((uintptr_t)other & ~mask));
#endif
}

/* The smallest of 16 numbers below 2^31, four at a time and without a branch. */
typedef int32_t Four __attribute__((vector_size(16), may_alias, aligned(4)));

static inline Four lower4(Four a, Four b) {
    Four less = a < b;
    return (a & less) | (b & ~less);
}
static inline uint32_t lowest_of4(Four x) {
    x = lower4(x, (Four){x[2], x[3], x[0], x[1]});
    x = lower4(x, (Four){x[1], x[0], x[3], x[2]});
    return (uint32_t)x[0];
}
static inline uint32_t lowest16(const uint32_t *x) {
    const Four *four = (const Four *)x;
    return lowest_of4(lower4(lower4(four[0], four[1]), lower4(four[2], four[3])));
}

#endif
