/* Any 64-bit machine: a table of class bits, gathered eight bytes at a time by multiplication. */

enum { IN_LETTER = 1, IN_DIGIT = 2, IN_SPACE = 4, IN_WHITE = 8, IN_APOSTROPHE = 16, IN_HIGH = 32 };

#define L8 1, 1, 1, 1, 1, 1, 1, 1
#define H8 32, 32, 32, 32, 32, 32, 32, 32
static const uint8_t ascii_class[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 8, 8, 8, 8, 0, 0, /* 00: controls; tab to carriage return */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    12, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, /* 20: space, apostrophe */
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0, /* 30: digits */
    0, 1, 1, 1, 1, 1, 1, 1, L8, L8, 1, 1, 1, 0, 0, 0, 0, 0, /* 40: A-Z */
    0, 1, 1, 1, 1, 1, 1, 1, L8, L8, 1, 1, 1, 0, 0, 0, 0, 0, /* 60: a-z */
    H8, H8, H8, H8, H8, H8, H8, H8, H8, H8, H8, H8, H8, H8, H8, H8, /* 80-FF */
};
#undef L8
#undef H8

/* Eight bytes of 0 or 1 -> eight bits, byte i to bit i: the product puts each in the top byte. */
static inline uint64_t gather_low_bits(uint64_t bytes) {
    return ((bytes & 0x0101010101010101u) * 0x0102040810204080u) >> 56;
}

static void lanes_portable(const uint8_t *block, Lanes *lanes) {
    int group, i;
    memset(lanes, 0, sizeof *lanes);
    for (group = 0; group < 64; group += 8) {
        uint64_t c = 0;
        for (i = 0; i < 8; i++) c |= (uint64_t)ascii_class[block[group + i]] << (8 * i);
        lanes->letter |= gather_low_bits(c) << group;
        lanes->digit |= gather_low_bits(c >> 1) << group;
        lanes->space |= gather_low_bits(c >> 2) << group;
        lanes->white |= gather_low_bits(c >> 3) << group;
        lanes->apostrophe |= gather_low_bits(c >> 4) << group;
        lanes->high |= gather_low_bits(c >> 5) << group;
    }
}
