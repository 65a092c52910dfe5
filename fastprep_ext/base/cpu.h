/* The SIMD paths, by name: "portable" on any machine, "sse2" and "avx2" on x86-64,
 * "neon" on 64-bit ARM. */
#ifndef FASTPREP_CPU_H
#define FASTPREP_CPU_H

#include <string.h>

/* The name of the path if this machine runs it, of the best path for ""; NULL otherwise. Every kernel
 * takes its function of a path by this name, so that all of a process run the same one. */
static const char *simd_path_name(const char *name) {
#if defined(__x86_64__)
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
               __builtin_cpu_supports("popcnt");
    if (avx2 && (!*name || !strcmp(name, "avx2"))) return "avx2";
    if (!*name || !strcmp(name, "sse2")) return "sse2";
#elif defined(__aarch64__)
    if (!*name || !strcmp(name, "neon")) return "neon";
#endif
    return !*name || !strcmp(name, "portable") ? "portable" : NULL;
}

#endif
