"""The binding of chunks of texts: str in, lists of ids out."""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free

from fastprep_ext.buffers cimport utf8_of
from fastprep_ext.chunks cimport (
    Chunk, Chunks, chunks_begin, chunks_end, chunks_have, chunks_stop, chunks_wait, chunks_work,
)
from fastprep_ext.specials cimport Specials
from fastprep_ext.vocabulary cimport Scratch, Vocabulary

cdef extern from "Python.h":
    void PyObject_GC_UnTrack(void *item)
    void PyObject_GC_Track(void *item)
    bint PyObject_GC_IsTracked(object item)

__all__ = ["TextBatch"]


cdef class TextBatch:
    """Texts that threads encode together: each in :meth:`work`, one in :meth:`lists`.

    Threads encode without the GIL, and one alone makes lists. To share that out was tried: each list
    counts up the same int objects, whose lines then wander between the cores, and what waits for the
    GIL does not encode; two threads took longer than one.

    Parameters
    ----------
    vocabulary
        encodes them.
    texts
        the texts.
    specials
        the special tokens that cut them, or None.
    left_out
        one byte a text: those with a 1 are not encoded but given to `one` by :meth:`lists`. Texts that
        have no UTF-8 are added to them.
    """

    cdef Vocabulary vocabulary
    cdef Specials specials
    cdef tuple kept
    cdef bytearray left_out
    cdef Chunks chunks
    cdef const uint8_t **texts
    cdef size_t *sizes
    cdef uint64_t *ends
    cdef bint begun

    def __cinit__(
        self, Vocabulary vocabulary not None, texts not None, Specials specials,
        bytearray left_out not None,
    ):
        cdef Py_ssize_t i, n, count
        self.kept = tuple(texts)
        count = len(self.kept)
        if len(left_out) != count:
            raise ValueError(f"{count} texts need as many marks, not {len(left_out)}")
        self.vocabulary = vocabulary
        self.specials = specials
        self.left_out = left_out
        self.texts = <const uint8_t **>calloc(count + 1, sizeof(void *))
        self.sizes = <size_t *>calloc(count + 1, sizeof(size_t))
        self.ends = <uint64_t *>calloc(count + 1, sizeof(uint64_t))
        if self.texts == NULL or self.sizes == NULL or self.ends == NULL:
            raise MemoryError(f"no memory for a list of {count} texts")
        for i in range(count):
            if self.left_out[i]:
                continue
            try:
                self.texts[i] = utf8_of(self.kept[i], &n)
                self.sizes[i] = n
            except Exception:
                self.left_out[i] = 1
        self.chunks.ranks = &vocabulary.ranks
        self.chunks.pattern = vocabulary.pattern
        self.chunks.specials = &specials.table if specials is not None else NULL
        self.chunks.texts = self.texts
        self.chunks.sizes = self.sizes
        self.chunks.ends = self.ends
        self.begun = True
        if chunks_begin(&self.chunks, count) != 0:
            raise MemoryError(f"no memory for chunks of {count} texts")

    def __dealloc__(self):
        if self.begun:
            chunks_end(&self.chunks)
        free(self.texts)
        free(self.sizes)
        free(self.ends)

    def __len__(self):
        """How many chunks there are."""
        return self.chunks.n

    def work(self):
        """Encode chunks until nobody has to begin one."""
        cdef Scratch scratch = self.vocabulary.take()
        with nogil:
            while chunks_work(&self.chunks, &scratch.worker):
                pass
        self.vocabulary.give(scratch)

    def stop(self):
        """Let threads end after the chunk that they are at."""
        chunks_stop(&self.chunks)

    def lists(self, one) -> list:
        """The ids of each text, in order: to be asked for once. Encodes, where no others have, itself.

        `one(text)` is called for each text that was left out, or could not be encoded; what it raises
        is raised.
        """
        cdef Scratch scratch = self.vocabulary.take()
        cdef list result = [], ids
        cdef Py_ssize_t k, i
        cdef uint64_t begin
        cdef Chunk *chunk
        for k in range(self.chunks.n):
            if not chunks_have(&self.chunks, k):
                with nogil:
                    chunks_wait(&self.chunks, k, &scratch.worker)
            chunk = &self.chunks.at[k]
            begin = 0
            for i in range(chunk.first, chunk.last):
                if chunk.count < 0 or self.left_out[i]:
                    result.append(one(self.kept[i]))
                    continue
                ids = self.vocabulary.listed(chunk.ids + begin, self.ends[i] - begin)
                # Every seven hundredth list makes the garbage collector look at each int of all of them
                # (1.3 times the time), and there are no cycles among ints.
                PyObject_GC_UnTrack(<void *>ids)
                result.append(ids)
                begin = self.ends[i]
            free(chunk.ids)
            chunk.ids = NULL
        self.vocabulary.give(scratch)
        for ids in result:
            if not PyObject_GC_IsTracked(ids):
                PyObject_GC_Track(<void *>ids)
        return result
