"""Characters that merging may begin with (atoms.h)."""

cdef extern from "bpe/atoms.h" nogil:
    enum:
        ATOM_CODES
    ctypedef struct Atoms:
        uint32_t *tokens
        uint32_t *heights
        uint64_t *parted
        uint32_t *left
        uint32_t *right
    uint32_t atom_code(const uint8_t *bytes, size_t n)
    size_t code_bytes(uint32_t code)
    void add_parted(Atoms *self, const uint8_t *token, size_t n, uint32_t rank)
    size_t atoms_of(
        const Atoms *self, const uint32_t *byte_ranks, const uint8_t *bytes, size_t n, uint32_t *out
    )
