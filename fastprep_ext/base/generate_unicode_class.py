"""Generate unicode_class.h: the class of every code point, as tiktoken sees it.

The oracle is tiktoken itself: `unicodedata` and `regex` have other Unicode versions. An encoding
whose ranks are the 256 single bytes and whose pattern matches one class drops all text that the
pattern does not match, so encoding every code point lists the class.

    python fastprep_ext/base/generate_unicode_class.py > fastprep_ext/base/unicode_class.h
"""

from __future__ import annotations

import sys

import tiktoken

UNICODE_VERSION = "16.0.0"

# Name in the header, pattern, expected number of code points in this Unicode version.
CLASSES = [
    ("UC_OTHER", None, None),
    ("UC_LU", r"\p{Lu}", 1858),
    ("UC_LT", r"\p{Lt}", 31),
    ("UC_LL", r"\p{Ll}", 2258),
    ("UC_LM", r"\p{Lm}", 404),
    ("UC_LO", r"\p{Lo}", 136477),
    ("UC_M", r"\p{M}", 2501),
    ("UC_N", r"\p{N}", 1911),
    ("UC_SPACE", r"\s", 25),
    ("UC_SIGN", r"[\p{P}\p{S}]", 9369),
]


def code_points(pattern: str) -> list[int]:
    """List the code points that match `pattern`, a pattern for one character."""
    single_bytes = tiktoken.Encoding(
        "single bytes",
        pat_str=pattern,
        mergeable_ranks={bytes([i]): i for i in range(256)},
        special_tokens={},
    )
    points: list[int] = []
    for first in range(0, 0x110000, 0x1000):
        text = "".join(chr(c) for c in range(first, first + 0x1000) if not 0xD800 <= c < 0xE000)
        matched = bytes(single_bytes.encode_ordinary(text))
        points.extend(map(ord, matched.decode("utf-8")))
    return points


def header() -> str:
    """Return the text of unicode_class.h."""
    classes = bytearray(0x110000)
    for number, (name, pattern, size) in enumerate(CLASSES):
        if pattern is None:
            continue
        points = code_points(pattern)
        if len(points) != size:
            raise SystemExit(
                f"{name}: {len(points)} code points, Unicode {UNICODE_VERSION}: {size}"
            )
        for point in points:
            if classes[point]:
                raise SystemExit(f"{name}: U+{point:04X} is already {CLASSES[classes[point]][0]}")
            classes[point] = number
    runs = [
        (point, classes[point])
        for point in range(0x110000)
        if point == 0 or classes[point] != classes[point - 1]
    ]
    lines = [
        f"/* Unicode {UNICODE_VERSION} character classes;"
        " made by fastprep_ext/base/generate_unicode_class.py */",
        "#ifndef FASTPREP_UNICODE_CLASS_H",
        "#define FASTPREP_UNICODE_CLASS_H",
        "",
        "#include <stdint.h>",
        "#include <string.h>",
        "",
        f'#define UNICODE_VERSION "{UNICODE_VERSION}"',
        "",
        "enum { " + ", ".join(name for name, _, _ in CLASSES) + " };",
        "",
        "/* Runs of one class: first code point << 4 | class. */",
        "static const uint32_t unicode_runs[] = {",
    ]
    entries = [f"0x{point << 4 | number:x}" for point, number in runs]
    lines += ["    " + ", ".join(entries[i : i + 10]) + "," for i in range(0, len(entries), 10)]
    lines += [
        "};",
        "",
        "/* Write the class of every code point to classes[0x110000], which is zeroed: class 0 is not",
        " * written, so most of its pages are never mapped. */",
        "static void unicode_fill(uint8_t *classes) {",
        "    size_t i, count = sizeof unicode_runs / sizeof *unicode_runs;",
        "    for (i = 0; i < count; i++) {",
        "        size_t first = unicode_runs[i] >> 4;",
        "        size_t end = i + 1 < count ? unicode_runs[i + 1] >> 4 : 0x110000;",
        "        int kind = (int)(unicode_runs[i] & 15);",
        "        if (kind) memset(classes + first, kind, end - first);",
        "    }",
        "}",
        "",
        "#endif",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(header())
