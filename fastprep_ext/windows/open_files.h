/* Descriptors of files that are read by pread: at most OPEN_FILES in a process, however many files
 * there are.
 *
 * A file has a number of its own, which selects its slot, so up to OPEN_FILES files of one sequence
 * stay open. A slot is taken by compare-and-swap, not under a lock: a process that forks at any moment
 * leaves its child no lock that nobody releases, at worst a slot that the child does not use.
 */
#ifndef FASTPREP_OPEN_FILES_H
#define FASTPREP_OPEN_FILES_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_FILES 64

typedef struct {
    int64_t users;  /* threads that read; -1: the file is being replaced by another */
    int64_t number; /* of the file, from 1 on; 0: none */
    int file;
} OpenFile;

static OpenFile open_files[OPEN_FILES];

static inline int swap_users(OpenFile *slot, int64_t from, int64_t to) {
    return __atomic_compare_exchange_n(
        &slot->users, &from, to, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* Open a file if it is still the one of this inode; -1 otherwise. */
static int open_same(const char *path, int64_t inode) {
    struct stat found;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file >= 0 && (fstat(file, &found) != 0 || (int64_t)found.st_ino != inode)) {
        close(file);
        return -1;
    }
    return file;
}

/* Return a descriptor, or -1. It is released by `release_file` with the same number. */
static int acquire_file(int64_t number, const char *path, int64_t inode) {
    OpenFile *slot = &open_files[number % OPEN_FILES];
    int64_t users = __atomic_load_n(&slot->users, __ATOMIC_ACQUIRE);
    int file;
    while (users >= 0) {
        if (!swap_users(slot, users, users + 1)) {
            users = __atomic_load_n(&slot->users, __ATOMIC_ACQUIRE);
            continue;
        }
        if (slot->number == number) return slot->file;
        if (swap_users(slot, 1, -1)) {
            if (slot->number) close(slot->file);
            file = open_same(path, inode);
            slot->file = file;
            slot->number = file < 0 ? 0 : number;
            __atomic_store_n(&slot->users, file < 0 ? 0 : 1, __ATOMIC_RELEASE);
            return file;
        }
        __atomic_fetch_sub(&slot->users, 1, __ATOMIC_ACQ_REL);
        break;
    }
    /* Other threads read another file of this slot. */
    return open_same(path, inode);
}

static void release_file(int64_t number, int file) {
    OpenFile *slot = &open_files[number % OPEN_FILES];
    /* The file of a slot with users does not change. Another descriptor is not from the slot. */
    if (__atomic_load_n(&slot->users, __ATOMIC_ACQUIRE) > 0 && slot->number == number &&
        slot->file == file) {
        __atomic_fetch_sub(&slot->users, 1, __ATOMIC_ACQ_REL);
    } else {
        close(file);
    }
}

/* Close the files of these numbers, which no thread uses any more. */
static void close_files(int64_t first, int64_t end) {
    int k;
    for (k = 0; k < OPEN_FILES; k++) {
        OpenFile *slot = &open_files[k];
        if (!swap_users(slot, 0, -1)) continue;
        if (first <= slot->number && slot->number < end) {
            close(slot->file);
            slot->number = 0;
        }
        __atomic_store_n(&slot->users, 0, __ATOMIC_RELEASE);
    }
}

#endif
