"""The class table follows tiktoken's Unicode, and the header in the tree is up to date."""

import runpy
from pathlib import Path

from fastprep_ext import base

FOLDER = Path(base.__file__).with_name("base")
GENERATOR = runpy.run_path(str(FOLDER / "generate_unicode_class.py"))


def test_header_agrees_with_tiktoken():
    header = FOLDER / "unicode_class.h"
    assert header.read_text(encoding="ascii") == GENERATOR["header"]()


def test_the_table_has_unicode_16():
    assert base.unicode_version == "16.0.0"


def test_table_agrees_with_the_header():
    names = [base.unicode_class(point) for point in range(0x110000)]
    for name, _, size in GENERATOR["CLASSES"][1:]:
        assert names.count(name.removeprefix("UC_")) == size
