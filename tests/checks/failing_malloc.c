/* A preloaded library: malloc, calloc and realloc that fail for the compiled modules of fastprep, and the
 * native frames of a crash on stderr.
 *
 * cc -shared -fPIC -O1 failing_malloc.c -o failing_malloc.so
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static int from, only, count;

/* Let the allocations fail from the `first` on (counted from 1), or only that one; 0: none. */
void fail_from(int first, int once) {
    from = first;
    only = once;
    count = 0;
}

static int fails(void *caller) {
    Dl_info info;
    if (!from || !dladdr(caller, &info) || !strstr(info.dli_fname, "fastprep_ext")) return 0;
    int number = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
    if (only ? number != from : number < from) return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t items, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(items, size);
}

void *realloc(void *block, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(block, size);
}

/* faulthandler, which comes after, calls this handler once it has printed the frames of Python. */
static void print_frames(int number) {
    static const char title[] = "Native frames:\n";
    void *frames[64];
    int found = backtrace(frames, 64);
    if (write(2, title, sizeof title - 1) > 0) backtrace_symbols_fd(frames, found, 2);
    signal(number, SIG_DFL);
    raise(number);
}

__attribute__((constructor)) static void handle_crashes(void) {
    void *frame;
    backtrace(&frame, 1); /* loads what it needs */
    signal(SIGSEGV, print_frames);
}
