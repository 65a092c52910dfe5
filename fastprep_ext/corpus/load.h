/* Small files: listed, and read whole. */
#ifndef FASTPREP_LOAD_H
#define FASTPREP_LOAD_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/blake2b.h"

/* A file to read to its place in a buffer. */
typedef struct {
    const char *path;
    size_t size;
    size_t at;
    int64_t modified;  /* set when it was read: nanoseconds, at the time of opening */
    int good;
} File;

static int64_t modified_of(const struct stat *status) {
#if defined(__APPLE__)
    return (int64_t)status->st_mtimespec.tv_sec * 1000000000 + status->st_mtimespec.tv_nsec;
#else
    return (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;
#endif
}

/* Set whether a regular file of its size was read to out[at]; errno is of no meaning. */
static void load_file(File *one, uint8_t *out) {
    struct stat status;
    size_t filled = 0;
    ssize_t got = 1;
    int file = open(one->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    one->good = 0;
    if (file < 0) return;
    if (fstat(file, &status) == 0 && S_ISREG(status.st_mode)
        && (size_t)status.st_size == one->size) {
        while (filled < one->size && got > 0) {
            got = read(file, out + one->at + filled, one->size - filled);
            if (got > 0) filled += got;
            else if (got < 0 && errno == EINTR) got = 1;
        }
        one->modified = modified_of(&status);
        one->good = filled == one->size;
    }
    close(file);
}

/* Files from the page cache take 6 us each, from a disk 100 and more, nearly all of it waiting. So each
 * group is read one by one, until TIMED_FILES in a row took longer than that; then by READERS threads. */
enum { READERS = 16, TIMED_FILES = 16 };

typedef struct {
    File *files;
    size_t count;
    size_t next;
    uint8_t *out;
} Loading;

static void *load_rest(void *given) {
    Loading *loading = (Loading *)given;
    for (;;) {
        size_t i = __atomic_fetch_add(&loading->next, 1, __ATOMIC_RELAXED);
        if (i >= loading->count) return NULL;
        load_file(&loading->files[i], loading->out);
    }
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Read files to their places in `out`; return how many were read before the first that was not.
 * `slow_ns` is the time of a file above which several are read at a time. */
static size_t load_all(File *files, size_t count, uint8_t *out, int64_t slow_ns) {
    Loading loading = {files, count, 0, out};
    pthread_t threads[READERS - 1];
    int started = 0;
    size_t i = 0;
    int64_t before = now_ns();
    while (i < count) {
        load_file(&files[i], out);
        if (!files[i].good) return i;
        i++;
        if (i % TIMED_FILES == 0) {
            int64_t now = now_ns();
            if (now - before >= slow_ns * TIMED_FILES) break;
            before = now;
        }
    }
    if (i == count) return i;
    loading.next = i;
    while (started < READERS - 1 && (size_t)started + 1 < count - i
           && !pthread_create(&threads[started], NULL, load_rest, &loading)) started++;
    load_rest(&loading);
    while (started) pthread_join(threads[--started], NULL);
    while (i < count && files[i].good) i++;
    return i;
}

/* When a file was last changed, in nanoseconds; -1 where there is none. */
static int64_t modified_ns(const char *path) {
    struct stat status;
    return stat(path, &status) ? -1 : modified_of(&status);
}

/* An entry of a folder. */
typedef struct {
    const char *name;  /* of the system; valid until the next entry is read */
    int64_t size;
    uint64_t inode;
    int plain;
} Entry;

/* Read the next entry but those of the folder itself and its parent; 0 at the end, -1 for an error. It is
 * plain if it is a regular file of one name, on the folder's file system, that this process may read. */
static int next_entry(DIR *folder, uint64_t device, Entry *entry) {
    struct dirent *found;
    struct stat status;
    do {
        errno = 0;
        found = readdir(folder);
        if (!found) return errno ? -1 : 0;
    } while (found->d_name[0] == '.'
             && (!found->d_name[1] || (found->d_name[1] == '.' && !found->d_name[2])));
    entry->name = found->d_name;
    entry->plain = 0;
    if (fstatat(dirfd(folder), found->d_name, &status, AT_SYMLINK_NOFOLLOW)) return 1;
    entry->size = status.st_size;
    entry->inode = status.st_ino;
    entry->plain = S_ISREG(status.st_mode) && status.st_nlink == 1
        && (uint64_t)status.st_dev == device
        && ((status.st_mode & 0444) == 0444
            || (status.st_mode & S_IRUSR && status.st_uid == geteuid()));
    return 1;
}

/* Whether the hashes of a path's names, the last one's first, are below those of another. */
static int is_hashed_below(const char *a, size_t n, const char *b, size_t m) {
    for (;;) {
        size_t i = n, k = m;
        while (i && a[i - 1] != '/') i--;
        while (k && b[k - 1] != '/') k--;
        if (n - i != m - k || memcmp(a + i, b + k, n - i)) {
            uint64_t first = blake2b_8((const uint8_t *)a + i, n - i);
            uint64_t second = blake2b_8((const uint8_t *)b + k, m - k);
            if (first != second) return first < second;
        }
        if (!i || !k) return !i && k;
        n = i - 1;
        m = k - 1;
    }
}

#endif
