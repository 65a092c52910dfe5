/* Keys of pieces for one path that hashes them by AES; keys_avx2.h and keys_neon.h include this file.
 *
 * KEYS(name)     the name of a function of this path
 * KEYS_TARGET    the attribute that compiles a function for it
 * KEYS(hash)     (vector): the hash of a key
 * KEYS(key_hash) (key, piece, n): writes the key of a short piece, and returns its hash
 * vector_at      (sixteen): 16 bytes as a vector
 */

KEYS_TARGET static uint32_t KEYS(slot)(const Key *key, uint64_t mask) {
    return KEYS(hash)(vector_at(key)) & (uint32_t)mask;
}

KEYS_TARGET static void KEYS(make_keys)(const Line *lines, uint64_t mask, const uint8_t *text, size_t n,
                                        size_t begin, const size_t *ends, size_t pieces, Key *keys,
                                        uint32_t *slots) {
    size_t i, readable = pieces;
    /* Pieces with at least 16 bytes up to the end of the text. */
    while (readable && (readable > 1 ? ends[readable - 2] : begin) + 16 > n) readable--;
    for (i = 0; i < readable; begin = ends[i++]) {
        size_t length = ends[i] - begin;
        if (likely(length <= KEY_BYTES)) {
            slots[i] = KEYS(key_hash)(&keys[i], text + begin, length) & (uint32_t)mask;
        } else {
            key_long(&keys[i], text + begin, length);
            slots[i] = KEYS(slot)(&keys[i], mask);
        }
        prefetch(&lines[slots[i]]);
    }
    for (; i < pieces; begin = ends[i++]) {
        key_of(&keys[i], text + begin, ends[i] - begin, n - begin);
        slots[i] = KEYS(slot)(&keys[i], mask);
        prefetch(&lines[slots[i]]);
    }
}
