/* Any 64-bit machine: a table of class bits, gathered eight bytes at a time by multiplication. */

enum { IN_LETTER = 1, IN_DIGIT = 2, IN_SPACE = 4, IN_WHITE = 8, IN_APOSTROPHE = 16, IN_NEWLINE = 32,
       IN_UPPER = 64, IN_SLASH = 128 };

#define L8 1, 1, 1, 1, 1, 1, 1, 1
#define U8 65, 65, 65, 65, 65, 65, 65, 65
static const uint8_t ascii_class[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 40, 8, 8, 40, 0, 0, /* 00: controls; tab to carriage return */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    12, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 128, /* 20: space, apostrophe, slash */
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0, /* 30: digits */
    0, 65, 65, 65, 65, 65, 65, 65, U8, U8, 65, 65, 65, 0, 0, 0, 0, 0, /* 40: A-Z */
    0, 1, 1, 1, 1, 1, 1, 1, L8, L8, 1, 1, 1, 0, 0, 0, 0, 0, /* 60: a-z */
    /* 80-FF: no class */
};
#undef L8
#undef U8

/* Eight bytes of 0 or 1 -> eight bits, byte i to bit i: the product moves each into the top byte. */
static inline uint64_t gather_low_bits(uint64_t bytes) {
    return ((bytes & 0x0101010101010101u) * 0x0102040810204080u) >> 56;
}

static void lanes_portable(const uint8_t *block, Lanes *lanes) {
    int group, i;
    memset(lanes, 0, offsetof(Lanes, lower));
    for (group = 0; group < 64; group += 8) {
        uint64_t c = 0, bytes;
        memcpy(&bytes, block + group, 8);
        for (i = 0; i < 8; i++) c |= (uint64_t)ascii_class[block[group + i]] << (8 * i);
        lanes->letter |= gather_low_bits(c) << group;
        lanes->digit |= gather_low_bits(c >> 1) << group;
        lanes->space |= gather_low_bits(c >> 2) << group;
        lanes->white |= gather_low_bits(c >> 3) << group;
        lanes->apostrophe |= gather_low_bits(c >> 4) << group;
        lanes->newline |= gather_low_bits(c >> 5) << group;
        lanes->upper |= gather_low_bits(c >> 6) << group;
        lanes->slash |= gather_low_bits(c >> 7) << group;
        lanes->high |= gather_low_bits(bytes >> 7) << group;
    }
}

static size_t places_portable(uint64_t bits, size_t first, size_t *places) {
    size_t count = 0;
    for (; bits; bits &= bits - 1) places[count++] = first + (size_t)lowest_bit(bits);
    return count;
}

/* One bit of each of 64 bytes. */
static inline uint64_t bits_portable(const uint8_t *block, int bit) {
    uint64_t found = 0, bytes;
    int group;
    for (group = 0; group < 64; group += 8) {
        memcpy(&bytes, block + group, 8);
        found |= gather_low_bits(bytes >> bit) << group;
    }
    return found;
}

static void high_portable(const uint8_t *block, const Kinds *kinds, High *high) {
    Leads leads = leads_of(bits_portable(block, 7), bits_portable(block, 6), bits_portable(block, 5),
                           bits_portable(block, 4));
    uint64_t left = leads.two & ~leads.four;
    uint8_t found[64] = {0};
    high_begin(high, &leads);
    for (; left; left &= left - 1) {
        int at = lowest_bit(left);
        found[at] = high_kind(kinds, block + at);
    }
    high_found(high, &leads, IS_LETTER, bits_portable(found, IS_LETTER));
    high_found(high, &leads, IS_FIRST, bits_portable(found, IS_FIRST));
    high_found(high, &leads, IS_SECOND, bits_portable(found, IS_SECOND));
    if (kinds->has_apart) high_found(high, &leads, IS_APART, bits_portable(found, IS_APART));
    high->rare |= bits_portable(found, IS_WHITE);
}

static const SimdPath SIMD_PORTABLE = {"portable", lanes_portable, places_portable, high_portable};
