/* Zeroed memory for large tables, in huge pages if the system has them.
 *
 * In pages of 4 KiB, every second random lookup in a large table misses the TLB.
 */
#ifndef FASTPREP_PAGES_H
#define FASTPREP_PAGES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)
#define LARGEST_PAGE ((size_t)64 << 10) /* of systems with small pages, on ARM; others have 4 KiB */

/* munmap takes whole pages: of a part of one it unmaps nothing. */
static inline size_t whole_pages(size_t size) {
    return (size + LARGEST_PAGE - 1) & ~(LARGEST_PAGE - 1);
}

/* Allocate `size` zeroed bytes, aligned to a huge page; NULL without memory. Free with pages_free. */
static void *pages_alloc(size_t size) {
    size_t mapped = whole_pages(size) + HUGE_PAGE;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    char *memory = (char *)mmap(NULL, mapped, PROT_READ | PROT_WRITE, flags, -1, 0);
    char *begin;
    size_t before;
    if (memory == MAP_FAILED) return NULL;
    size = mapped - HUGE_PAGE;
    begin = (char *)(((uintptr_t)memory + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    before = (size_t)(begin - memory);
    if (before) munmap(memory, before);
    if (before < HUGE_PAGE) munmap(begin + size, HUGE_PAGE - before);
#ifdef MADV_HUGEPAGE
    madvise(begin, size, MADV_HUGEPAGE); /* a hint: if refused, small pages serve */
#endif
    return begin;
}

static void pages_free(void *memory, size_t size) {
    if (memory) munmap(memory, whole_pages(size));
}

#endif
