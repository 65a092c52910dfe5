/* What the kernel does with reads of files: requests ahead of use, the number of reads from the disk, and
 * the kind of a file system. Where the system has none of them, nothing is requested or counted.
 */
#ifndef FASTPREP_DISK_H
#define FASTPREP_DISK_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#endif

/* Start to read a range of a file into the page cache, without waiting for it. */
static void request_file(int file, int64_t offset, int64_t count) {
#ifdef POSIX_FADV_WILLNEED
    posix_fadvise(file, offset, count, POSIX_FADV_WILLNEED);
#endif
}

/* The same for a range of a map. */
static void request_map(const char *at, int64_t count) {
    static uintptr_t page;
    uintptr_t start = (uintptr_t)at;
    if (page == 0) page = (uintptr_t)sysconf(_SC_PAGESIZE);
    start -= start % page;
    madvise((void *)start, (size_t)((uintptr_t)at + count - start), MADV_WILLNEED);
}

/* A number that grows whenever this thread has pages read from a disk, requested ones included; -1 where
 * the system does not count them. */
static int64_t count_disk_reads(void) {
#ifdef RUSAGE_THREAD
    struct rusage used;
    if (getrusage(RUSAGE_THREAD, &used) == 0) return (int64_t)used.ru_inblock + used.ru_majflt;
#endif
    return -1;
}

/* Nanoseconds of a clock that takes 25 of them to read. */
static int64_t clock_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* How many bytes the kernel reads ahead of reads in order from the file system of a path: a setting of its
 * disk, or of the mount. 0 where it does not say. */
static int64_t read_ahead_of(const char *path) {
    long long kib = 0;
#ifdef __linux__
    /* Of a mount or a whole disk, of a partition's disk. */
    static const char *const NAMES[] = {
        "/sys/class/bdi/%u:%u/read_ahead_kb", "/sys/dev/block/%u:%u/../queue/read_ahead_kb"};
    struct stat found;
    char name[96];
    size_t k;
    if (stat(path, &found) != 0) return 0;
    for (k = 0; k < sizeof NAMES / sizeof *NAMES; k++) {
        FILE *file;
        snprintf(name, sizeof name, NAMES[k], major(found.st_dev), minor(found.st_dev));
        if ((file = fopen(name, "re")) == NULL) continue;
        if (fscanf(file, "%lld", &kib) != 1) kib = 0;
        fclose(file);
        break;
    }
#endif
    return (int64_t)kib << 10;
}

/* Whether the file system of a path is on another machine, or in another process, which answers for it. */
static int is_on_network(const char *path) {
#ifdef __linux__
    static const uint32_t KINDS[] = {
        0x6969,     /* NFS */
        0x517B,     /* SMB */
        0xFF534D42, /* CIFS */
        0xFE534D42, /* SMB2 */
        0x65735546, /* FUSE, virtiofs */
        0x0BD00BD0, /* Lustre */
        0x47504653, /* GPFS */
        0x00C36400, /* Ceph */
        0x18031977, /* WekaFS */
        0x19830326, /* BeeGFS */
        0xAAD7AAEA, /* PanFS */
        0x20030528, /* OrangeFS */
        0x01021997, /* 9p */
        0x5346414F, /* AFS */
        0x6B414653, /* kAFS */
        0x73757245, /* Coda */
        0x01161970, /* GFS2 */
        0x7461636F, /* OCFS2 */
    };
    struct statfs found;
    size_t k;
    if (statfs(path, &found) != 0) return 0;
    for (k = 0; k < sizeof KINDS / sizeof *KINDS; k++)
        if ((uint32_t)found.f_type == KINDS[k]) return 1;
#endif
    return 0;
}

#endif
