"""Many small files at once: a call per group of files, where Python takes several calls per file."""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.errno cimport errno
from libc.string cimport strerror


cdef extern from "corpus/load.h" nogil:
    ctypedef struct File:
        const char *path
        size_t size
        size_t at
        int64_t modified
        bint good
    ctypedef struct Entry:
        const char *name
        int64_t size
        uint64_t inode
        bint plain
    ctypedef struct DIR:
        pass
    size_t load_all(File *files, size_t count, uint8_t *out, int64_t slow_ns)
    int64_t modified_ns(const char *path)
    DIR *opendir(const char *path)
    int closedir(DIR *folder)
    int next_entry(DIR *folder, uint64_t device, Entry *entry)
    uint64_t blake2b_8(const uint8_t *text, size_t n)
    bint is_hashed_below(const char *a, size_t n, const char *b, size_t m)

cdef extern from "Python.h":
    int PyUnicode_FSConverter(object path, PyObject **made) except 0
    object PyUnicode_DecodeFSDefault(const char *name)
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef enum:
    SLOW_NS = 60_000           # of a small file: it comes from a disk, not from the page cache


# A path as the system takes it.
cdef bytes system_path(object path):
    cdef PyObject *made = NULL
    cdef bytes found
    PyUnicode_FSConverter(path, &made)
    found = <bytes>made
    Py_DECREF(found)  # FSConverter made one reference, the name another
    return found


def load_files(
    list paths not None, list sizes not None, Rows rows not None, list times=None,
    int64_t slow_ns=SLOW_NS,
) -> int:
    """Append the content of whole regular files to the bytes of rows; returns how many were read.

    Ends before the first file that cannot be read, or has another size than `sizes` says. Files of a
    disk, which take more than `slow_ns` each, are read several at a time. To `times` it appends when each
    file was last changed, in nanoseconds, as the file said when it was opened.

    >>> from fastprep_ext.base import Rows
    >>> load_files([b"missing"], [5], Rows())
    0
    """
    cdef size_t i, count = len(paths), read, total = 0
    cdef Memory held = allocate(count * sizeof(File))
    cdef File *files = <File *>held.at
    cdef uint8_t *out
    cdef bytes path
    kept = []
    if <size_t>len(sizes) != count:
        raise ValueError(f"{count} files, {len(sizes)} sizes")
    for i in range(count):
        path = system_path(paths[i])
        kept.append(path)
        files[i].path, files[i].size, files[i].at = PyBytes_AS_STRING(path), sizes[i], total
        files[i].good = False
        total += files[i].size
    rows.reserve_bytes(total)
    out = rows.bytes + rows.filled
    with nogil:
        read = load_all(files, count, out, slow_ns)
    rows.filled += total if read == count else files[read].at
    if times is not None:
        for i in range(read):
            times.append(files[i].modified)
    return read


cdef class Folder:
    """The entries of a folder, in the system's order. Raises OSError if it cannot be opened.

    >>> Folder(".", 0).read(5)[0]  # no file is on device 0
    []
    """

    cdef DIR *folder
    cdef uint64_t device

    def __cinit__(self, path, uint64_t device):
        cdef bytes name = system_path(path)
        cdef const char *at = PyBytes_AS_STRING(name)
        cdef int number
        with nogil:
            self.folder = opendir(at)
            number = errno
        if self.folder == NULL:
            raise OSError(number, strerror(number).decode(), path)
        self.device = device

    def __dealloc__(self):
        if self.folder != NULL:
            closedir(self.folder)

    def read(self, size_t most) -> tuple:
        """Read up to `most` entries; returns three lists and an array, which are empty at the end.

        The lists have the names of plain files, their sizes, and the names of all other entries, the array
        the inodes of the plain files, as uint64. A file is plain if it is a regular one of one name,
        whose device is that of the folder and whose mode lets this process read it.
        """
        cdef Entry entry
        cdef int found
        cdef size_t count
        names, sizes, others = [], [], []
        inodes = memoryview(bytearray(most * sizeof(uint64_t))).cast("Q")
        cdef Array held = array_of(inodes, ITEM_UINT64, True)
        for count in range(most):
            with nogil:
                found = next_entry(self.folder, self.device, &entry)
            if found < 0:
                raise OSError(errno, strerror(errno).decode())
            if found == 0:
                break
            name = PyUnicode_DecodeFSDefault(entry.name)
            if entry.plain:
                (<uint64_t *>held.at)[len(names)] = entry.inode
                names.append(name)
                sizes.append(entry.size)
            else:
                others.append(name)
        return names, sizes, others, inodes[: len(names)]


def known_paths(str prefix not None, list names not None, set suffixes not None) -> list | None:
    """Return the paths of files whose names are plain ones of known suffixes; None if one is not.

    A plain name is of ASCII and begins with neither a dot nor an underscore; its suffix is from its last
    dot on. The prefix, which is put before each name, is of ASCII too.

    >>> known_paths("a/", ["1.txt", "2.txt"], {".txt"}), known_paths("a/", ["1.txt", ".2.txt"], {".txt"})
    (['a/1.txt', 'a/2.txt'], None)
    """
    cdef str name, suffix, last = ""
    paths = []
    if not prefix.isascii():
        return None
    for name in names:
        if not name or name[0] in "._" or not name.isascii():
            return None
        suffix = name[max(name.rfind("."), 0) :]
        if suffix != last:
            if suffix not in suffixes:
                return None
            last = suffix
        paths.append(prefix + name)
    return paths


def borders_between(list paths not None, list sizes not None, uint64_t most) -> list:
    """Return the indices of files before which consecutive files are divided, so that none is too large.

    Files of more than `most` bytes together are divided before the one whose name has the smallest hash,
    BLAKE2b of 8 bytes, and both halves again. Names without their folders are compared; the folders'
    from the last one on where these are equal.

    >>> borders_between([f"{name}.txt" for name in "abcdefgh"], [4] * 8, 10)
    [1, 3, 4, 6]
    """
    cdef Py_ssize_t i, top = 0, count = len(paths), n
    cdef Memory held = allocate((count + 1) * (5 * sizeof(int64_t) + sizeof(char *)))
    cdef uint64_t *hashes = <uint64_t *>held.at
    cdef int64_t *before = <int64_t *>(hashes + count + 1)  # bytes of the files before one
    cdef int64_t *lengths = before + count + 1
    cdef int64_t *first = lengths + count + 1     # of the files that a border before one divides
    cdef int64_t *open = first + count + 1        # borders that may divide the files to come, as well
    cdef const char **names = <const char **>(open + count + 1)
    cdef const char *at
    cdef size_t k
    if len(sizes) != count:
        raise ValueError(f"{count} files, {len(sizes)} sizes")
    found = []
    before[0] = 0
    for i in range(count):
        at = PyUnicode_AsUTF8AndSize(paths[i], &n)
        names[i], lengths[i], before[i + 1] = at, n, before[i] + <int64_t>sizes[i]
        k = n
        while k and at[k - 1] != c'/':
            k -= 1
        hashes[i] = blake2b_8(<const uint8_t *>at + k, n - k)
    # A border is closed by the first one of a smaller hash, which ends the files that it divides.
    for i in range(1, count + 1):
        while top and (
            i == count or hashes[open[top - 1]] > hashes[i] or (
                hashes[open[top - 1]] == hashes[i]
                and is_hashed_below(names[i], lengths[i], names[open[top - 1]], lengths[open[top - 1]])
            )
        ):
            top -= 1
            if before[i] - before[first[open[top]]] > <int64_t>most:
                found.append(open[top])
        if i < count:
            first[i] = open[top - 1] if top else 0
            open[top] = i
            top += 1
    found.sort()
    return found


def split_files(Rows rows not None, list sizes not None, separator) -> None:
    """Append the documents of text files that rows hold back to back, as `split_documents` does.

    The origin of a document is the place of its first byte in its file, with the file's number above
    its lowest 48 bits, as `Rows.joined` has it. A byte order mark at the start of a file is skipped.

    >>> import io
    >>> from fastprep_ext.base import Rows
    >>> rows = Rows()
    >>> _ = rows.read(io.BytesIO(b"one--twothree").readinto, 100)
    >>> split_files(rows, [8, 5], b"--")
    >>> [*rows], rows.origin(1), rows.origin(2) == 1 << 48
    ([b'one', b'two', b'three'], 5, True)
    """
    cdef Py_ssize_t i
    cdef size_t size, start = 0
    for i in range(len(sizes)):
        size = sizes[i]
        if start + size > rows.filled:
            raise ValueError(f"file {i} ends at byte {start + size} of {rows.filled}")
        mark = 3 if size >= 3 and memcmp(rows.bytes + start, b"\xef\xbb\xbf", 3) == 0 else 0
        split_range(
            rows, start + mark, start + size, separator, size, False, True,
            (<int64_t>i << 48) - <int64_t>start,
        )
        start += size


def modified_times(list paths not None) -> list:
    """Return when each file was last changed, in nanoseconds; None for what is not there.

    >>> modified_times([b"missing"])
    [None]
    """
    cdef Py_ssize_t i
    cdef int64_t when
    cdef bytes path
    cdef const char *at
    times = []
    for i in range(len(paths)):
        path = system_path(paths[i])
        at = PyBytes_AS_STRING(path)
        with nogil:
            when = modified_ns(at)
        times.append(None if when < 0 else when)
    return times
