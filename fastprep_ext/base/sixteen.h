/* Sixteen bytes as a vector, and results of comparisons as the bits of an integer.
 *
 * One file per processor, with the same functions; HAS_SIXTEEN says that there is one. Every x86-64 has
 * SSE2, and every 64-bit ARM NEON, so nothing is asked at run time.
 */
#ifndef FASTPREP_SIXTEEN_H
#define FASTPREP_SIXTEEN_H

#include "base/bits.h"

#if defined(__SSE2__)
#define HAS_SIXTEEN 1
#include "sixteen_sse2.h"
#elif defined(__aarch64__)
#define HAS_SIXTEEN 1
#include "sixteen_neon.h"
#endif

#endif
