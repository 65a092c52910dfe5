/* Tables of the ASCII classes for the paths that look up 16 bytes at a time. */
/* The classes of a byte are the bits that its low and its high half have in common, one bit per
 * class: two lookups in tables of 16 instead of a comparison per class. A byte of 0x80 or above
 * gets 0 from the first. */
enum {
    OF_40_60 = 1,  /* letters, in two parts */
    OF_50_70 = 2,
    OF_DIGITS = 4,
    OF_CONTROLS = 8, /* tab to carriage return */
    OF_NEWLINES = 16,
    OF_SPACE = 32,
    OF_APOSTROPHE = 64,
    OF_SLASH = 128,
};
#define LETTERS (OF_40_60 | OF_50_70)
static const uint8_t LOW_HALF[16] = {
    OF_50_70 | OF_DIGITS | OF_SPACE,                   /* P p, 0, space */
    LETTERS | OF_DIGITS,  LETTERS | OF_DIGITS,  LETTERS | OF_DIGITS,
    LETTERS | OF_DIGITS,  LETTERS | OF_DIGITS,  LETTERS | OF_DIGITS,
    LETTERS | OF_DIGITS | OF_APOSTROPHE,               /* 7 */
    LETTERS | OF_DIGITS,
    LETTERS | OF_DIGITS | OF_CONTROLS,                 /* 9, tab */
    LETTERS | OF_CONTROLS | OF_NEWLINES,               /* Z z, line feed */
    OF_40_60 | OF_CONTROLS,                            /* K k, vertical tab */
    OF_40_60 | OF_CONTROLS,                            /* form feed */
    OF_40_60 | OF_CONTROLS | OF_NEWLINES,              /* carriage return */
    OF_40_60,
    OF_40_60 | OF_SLASH,                               /* O o, slash */
};
#undef LETTERS
static const uint8_t HIGH_HALF[16] = {
    OF_CONTROLS | OF_NEWLINES, 0, OF_SPACE | OF_APOSTROPHE | OF_SLASH, OF_DIGITS,
    OF_40_60, OF_50_70, OF_40_60, OF_50_70,
};
