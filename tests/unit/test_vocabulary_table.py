"""The list of models in the documentation is what the tests load."""

from __future__ import annotations

import tokenizer_styles
import vocabulary_kinds
from texts import SHARED
from vocabulary_table import FAMILIES, PAGE, published, updated

from fastprep import encoding_for_model


def test_the_table_is_up_to_date():
    page = PAGE.read_text(encoding="utf-8")
    assert page == updated(page), "run `python tests/vocabulary_table.py`"


def test_each_family_is_tested_and_its_published_files_are_there():
    for family in FAMILIES:
        assert family["styles"] or family["bundled"] or family["published"], family["family"]
        for model in family["bundled"]:
            encoding_for_model(model)
        for style in family["styles"]:
            assert hasattr(tokenizer_styles, style) or hasattr(vocabulary_kinds, style), style
    assert len({family["family"] for family in FAMILIES}) == len(FAMILIES)
    folder = SHARED / "vocabularies"
    if folder.is_dir():
        assert {path.name.removesuffix(".zst") for path in folder.glob("*.zst")} == {*published()}
