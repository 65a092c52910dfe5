"""The class table is tiktoken's Unicode, and the header in the tree is the one it makes."""

from pathlib import Path

from fastprep_ext import generate_unicode_class, utf8


def test_the_header_is_what_tiktoken_says():
    header = Path(generate_unicode_class.__file__).with_name("unicode_class.h")
    assert header.read_text(encoding="ascii") == generate_unicode_class.header()


def test_the_table_has_unicode_16():
    assert utf8.unicode_version == "16.0.0"


def test_the_table_says_what_the_header_says():
    names = [utf8.unicode_class(point) for point in range(0x110000)]
    for name, _, size in generate_unicode_class.CLASSES[1:]:
        assert names.count(name.removeprefix("UC_")) == size
