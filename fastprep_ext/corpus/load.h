/* Small files, read whole. */
#ifndef FASTPREP_LOAD_H
#define FASTPREP_LOAD_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether a regular file of this size was read to out[size]; errno is of no meaning. */
static int load_file(const char *path, uint8_t *out, size_t size) {
    struct stat status;
    size_t filled = 0;
    ssize_t got = 1;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return 0;
    if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) && (size_t)status.st_size == size) {
        while (filled < size && got > 0) {
            got = read(file, out + filled, size - filled);
            if (got > 0) filled += got;
            else if (got < 0 && errno == EINTR) got = 1;
        }
    } else {
        filled = size + 1;
    }
    close(file);
    return filled == size;
}

/* When a file was last changed, in nanoseconds; -1 where there is none. */
static int64_t modified_ns(const char *path) {
    struct stat status;
    if (stat(path, &status)) return -1;
#if defined(__APPLE__)
    return (int64_t)status.st_mtimespec.tv_sec * 1000000000 + status.st_mtimespec.tv_nsec;
#else
    return (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
#endif
}

#endif
