/* What this processor can do, and the SIMD paths by name: "portable" on any machine, "sse2" and "avx2" on
 * x86-64, "neon" on 64-bit ARM.
 *
 * Processors are asked here, not by __builtin_cpu_supports: it needs the runtime library of the compiler to
 * ask, and that of zig cc, which makes wheels, answers "no" to everything. */
#ifndef FASTPREP_CPU_H
#define FASTPREP_CPU_H

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

enum { CPU_KNOWN = 1, CPU_AVX2 = 2, CPU_BMI2 = 4, CPU_AES = 8, CPU_CLMUL = 16 };

/* AVX2 with what comes with it, BMI1 and POPCNT, where the system keeps its registers; CLMUL with SSE 4.1. */
static unsigned read_cpu(void) {
    unsigned a, b, c, d, more_a, more_b = 0, more_c, more_d, kept = 0, high;
    unsigned found = CPU_KNOWN;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return found;
    if (c & bit_OSXSAVE) __asm__("xgetbv" : "=a"(kept), "=d"(high) : "c"(0));
    if (!__get_cpuid_count(7, 0, &more_a, &more_b, &more_c, &more_d)) more_b = 0;
    if (c & bit_AES) found |= CPU_AES;
    if (c & bit_PCLMUL && c & bit_SSE4_1) found |= CPU_CLMUL;
    if ((kept & 6) == 6 && more_b & bit_AVX2 && more_b & bit_BMI && c & bit_POPCNT) {
        found |= CPU_AVX2;
        if (more_b & bit_BMI2) found |= CPU_BMI2;
    }
    return found;
}

/* Whether this processor has one of the features above. */
static inline int cpu_has(unsigned feature) {
    static unsigned known;
    unsigned found = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (!found) {
        found = read_cpu();
        __atomic_store_n(&known, found, __ATOMIC_RELAXED);
    }
    return (found & feature) != 0;
}
#endif

/* The name of the path if this machine runs it, of the best path for ""; NULL otherwise. Every kernel
 * takes its function of a path by this name, so that all of a process run the same one. */
static const char *simd_path_name(const char *name) {
#if defined(__x86_64__)
    if (cpu_has(CPU_AVX2) && (!*name || !strcmp(name, "avx2"))) return "avx2";
    if (!*name || !strcmp(name, "sse2")) return "sse2";
#elif defined(__aarch64__)
    if (!*name || !strcmp(name, "neon")) return "neon";
#endif
    return !*name || !strcmp(name, "portable") ? "portable" : NULL;
}

#endif
