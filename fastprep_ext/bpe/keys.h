/* Piece -> key -> line of the cache, and the lookup of a key in its line.
 *
 * A piece of up to 15 bytes is its own key: its bytes and its length. The key of a longer one is
 * its hash, and its bytes are kept in the arena for comparison. Two entries share a line, which is
 * one cache line; an entry that they displace moves to the neighbouring line, which is read only where
 * a key is not in its own.
 */
#ifndef FASTPREP_KEYS_H
#define FASTPREP_KEYS_H

#include "base/bits.h"
#include "base/cpu.h"
#include "values.h"

#define KEY_BYTES 15    /* longest piece that is its own key */
#define LONG_BYTES 1024 /* longest piece that is cached */
#define LONG_KEY 0x7F   /* in place of the length */
#define FAR_KEY 0x80    /* in the length byte: the ids are in the arena, and `look` skips the entry */

typedef struct {
    uint64_t low;  /* bytes 0-7; of a longer piece its hash */
    uint64_t high; /* bytes 8-14 and the length in the top byte; 0: empty */
} __attribute__((aligned(16))) Key;

typedef struct {
    Key key;
    Value value; /* with FAR_KEY, the first 8 bytes are the position in the arena (Cache.used) */
} Entry;

typedef struct {
    Entry older;
    Entry newer;
} __attribute__((aligned(64))) Line;

/* The functions of a SIMD path. A table must be looked up by the path that filled it. */
typedef struct {
    /* The number of a key's line. */
    uint32_t (*slot)(const Key *key, uint64_t mask);
    /* Compute keys and slots of pieces of a text of n bytes, the first of which starts at `begin`, and
     * prefetch their lines. */
    void (*make_keys)(const Line *lines, uint64_t mask, const uint8_t *text, size_t n, size_t begin,
                      const size_t *ends, size_t pieces, Key *keys, uint32_t *slots);
    /* Copy the values of the keys that are cached; list those that are missing and return how many. */
    size_t (*look)(const Line *lines, const Key *keys, const uint32_t *slots, size_t pieces,
                   Value *found, uint32_t *missing);
    Emit emit;
} KeyPath;

/* For each length of a piece: a mask of its bytes, and the length at its position in the key. */
#define LOW_BYTES(n) ((n) >= 8 ? ~UINT64_C(0) : (UINT64_C(1) << (8 * ((n) & 7))) - 1)
#define KEY_PARTS(n) {LOW_BYTES(n), (n) > 8 ? LOW_BYTES((n) - 8) : 0, 0, (uint64_t)(n) << 56}
static const struct {
    uint64_t low, high, zero, length;
} __attribute__((aligned(32))) KEY_MASK[KEY_BYTES + 1] = {
    KEY_PARTS(0),  KEY_PARTS(1),  KEY_PARTS(2),  KEY_PARTS(3),  KEY_PARTS(4),  KEY_PARTS(5),
    KEY_PARTS(6),  KEY_PARTS(7),  KEY_PARTS(8),  KEY_PARTS(9),  KEY_PARTS(10), KEY_PARTS(11),
    KEY_PARTS(12), KEY_PARTS(13), KEY_PARTS(14), KEY_PARTS(15),
};

/* The key of a piece of 1 to 15 bytes; `readable` bytes, at least n, may be read. Masks from a
 * table: a branch on the length, to shift either word, was mispredicted at every seventh piece. */
static inline void key_short(Key *key, const uint8_t *piece, size_t n, size_t readable) {
    uint8_t padded[16];
    if (unlikely(readable < 16)) {
        memcpy(padded, piece, n);
        piece = padded;
    }
    key->low = load64(piece) & KEY_MASK[n].low;
    key->high = (load64(piece + 8) & KEY_MASK[n].high) | KEY_MASK[n].length;
}

/* Eight bytes per step; n >= 8. */
static inline uint64_t long_hash(const uint8_t *piece, size_t n) {
    uint64_t h = n;
    size_t i;
    for (i = 0; i + 8 < n; i += 8) h = mul_fold(h ^ load64(piece + i), UINT64_C(0xA0761D6478BD642F));
    return mul_fold(h ^ load64(piece + n - 8), UINT64_C(0xE7037ED1A0B428DB));
}

static inline void key_long(Key *key, const uint8_t *piece, size_t n) {
    key->low = long_hash(piece, n < LONG_BYTES ? n : LONG_BYTES);
    key->high = (uint64_t)LONG_KEY << 56 | n;
}

static inline void key_of(Key *key, const uint8_t *piece, size_t n, size_t readable) {
    if (likely(n <= KEY_BYTES))
        key_short(key, piece, n, readable);
    else
        key_long(key, piece, n);
}

static inline int key_equal(const Key *a, const Key *b) {
    return ((a->low ^ b->low) | (a->high ^ b->high)) == 0;
}

/* Whether two pieces of n >= 8 bytes are equal. */
static inline int long_equal(const uint8_t *a, const uint8_t *b, size_t n) {
    uint64_t differing = load64(a + n - 8) ^ load64(b + n - 8);
    size_t i;
    for (i = 0; i + 8 < n; i += 8) differing |= load64(a + i) ^ load64(b + i);
    return differing == 0;
}

/* The entry of the line that has the key, if any; else either. By arithmetic, since compilers may
 * turn a choice into a branch, which would be unpredictable (0.9 times the speed). */
static inline const Entry *line_entry(const Line *line, const Key *key) {
    return &line->older + key_equal(&line->newer.key, key);
}

static inline uint32_t slot_plain(const Key *key, uint64_t mask) {
    return (uint32_t)(mul_fold(key->low ^ UINT64_C(0x8BB84B93962EACC9),
                               key->high ^ UINT64_C(0x4B33A62ED433D4A3)) & mask);
}

static void make_keys_plain(const Line *lines, uint64_t mask, const uint8_t *text, size_t n,
                            size_t begin, const size_t *ends, size_t pieces, Key *keys,
                            uint32_t *slots) {
    size_t i;
    for (i = 0; i < pieces; begin = ends[i++]) {
        key_of(&keys[i], text + begin, ends[i] - begin, n - begin);
        slots[i] = slot_plain(&keys[i], mask);
        prefetch(&lines[slots[i]]);
    }
}

/* Without a branch on whether a key is cached. */
static size_t look_plain(const Line *lines, const Key *keys, const uint32_t *slots, size_t pieces,
                         Value *found, uint32_t *missing) {
    size_t i, count = 0;
    for (i = 0; i < pieces; i++) {
        const Entry *entry = line_entry(&lines[slots[i]], &keys[i]);
        found[i] = entry->value;
        missing[count] = (uint32_t)i;
        count += !key_equal(&entry->key, &keys[i]);
    }
    return count;
}

static const KeyPath KEYS_PLAIN = {slot_plain, make_keys_plain, look_plain, emit_plain};

#if defined(__x86_64__)
#include "keys_avx2.h"
#elif defined(__aarch64__)
#include "keys_neon.h"
#endif

/* The functions of the SIMD path of this name (base/cpu.h), which this machine must have. */
static const KeyPath *key_path(const char *path) {
#if defined(__x86_64__)
    if (!strcmp(path, "avx2") && cpu_has(CPU_AES)) return &KEYS_AVX2;
#elif defined(__aarch64__)
    if (!strcmp(path, "neon") && has_aes()) return &KEYS_NEON;
#endif
    (void)path;
    return &KEYS_PLAIN;
}

#endif
