/* Zeroed memory for large tables, in huge pages where the system has them.
 *
 * A table looked up at random misses the address cache at every second look-up when it lies in
 * pages of 4 KiB.
 */
#ifndef FASTPREP_PAGES_H
#define FASTPREP_PAGES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

/* Not NULL: `size` zeroed bytes on a huge page's edge; give them back with pages_free. */
static void *pages_alloc(size_t size) {
    size_t room = size + HUGE_PAGE;
    char *memory = (char *)mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *begin;
    size_t before;
    if (memory == MAP_FAILED) return NULL;
    begin = (char *)(((uintptr_t)memory + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    before = (size_t)(begin - memory);
    if (before) munmap(memory, before);
    if (before < HUGE_PAGE) munmap(begin + size, HUGE_PAGE - before);
#ifdef MADV_HUGEPAGE
    madvise(begin, size, MADV_HUGEPAGE); /* a wish: where it is refused, small pages do */
#endif
    return begin;
}

static void pages_free(void *memory, size_t size) {
    if (memory) munmap(memory, size);
}

#endif
