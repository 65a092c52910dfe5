"""Sections of a tokenizer.json that do not change ids: what the library refuses is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from fastprep.encoding.encoding import Encoding
from fastprep.errors import BadVocabulary
from fastprep.vocabulary.patterns import R50K_PATTERN

TRUNCATION = {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
PADDING = {
    "strategy": "BatchLongest",
    "direction": "Right",
    "pad_to_multiple_of": None,
    "pad_id": 0,
    "pad_type_id": 0,
    "pad_token": "[PAD]",
}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True}
ROBERTA = {"type": "RobertaProcessing", "sep": ["b", 1], "cls": ["a", 0]} | {
    "trim_offsets": True,
    "add_prefix_space": True,
}
TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [
        {"SpecialToken": {"id": "a", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
    ],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"a": {"id": "a", "ids": [0], "tokens": ["a"]}},
}
GOOD: list[tuple[str, Any]] = [
    *[(section, None) for section in ("truncation", "padding", "post_processor", "decoder")],
    ("truncation", TRUNCATION),
    ("truncation", {**TRUNCATION, "strategy": "OnlySecond", "direction": "Left", "other": 1}),
    ("padding", PADDING),
    ("padding", {**PADDING, "strategy": {"Fixed": 3}, "pad_to_multiple_of": 8, "other": 1}),
    ("post_processor", BYTE_LEVEL),
    ("post_processor", ROBERTA),
    ("post_processor", {"sep": ["b", 1], "cls": ["a", 0]}),
    ("post_processor", TEMPLATE),
    ("post_processor", {"type": "Sequence", "processors": [BYTE_LEVEL, TEMPLATE]}),
    ("decoder", BYTE_LEVEL | {"use_regex": True}),
]
BAD: list[tuple[str, Any]] = [
    *[(section, value) for section, _ in GOOD[:4] for value in ([], 3, "x", True, {})],
    *[
        ("truncation", {name: value for name, value in TRUNCATION.items() if name != left_out})
        for left_out in ("max_length", "strategy", "stride")
    ],
    *[
        ("padding", {name: value for name, value in PADDING.items() if name != left_out})
        for left_out in PADDING
        if left_out != "pad_to_multiple_of"
    ],
    ("truncation", {**TRUNCATION, "stride": -1}),
    ("truncation", {**TRUNCATION, "max_length": 1.5}),
    ("truncation", {**TRUNCATION, "strategy": "longest_first"}),
    ("padding", {**PADDING, "direction": "left"}),
    ("padding", {**PADDING, "strategy": "Fixed"}),
    ("padding", {**PADDING, "strategy": {"Fixed": -1}}),
    ("padding", {**PADDING, "pad_id": 1 << 32}),
    ("padding", {**PADDING, "pad_token": None}),
    ("post_processor", {"type": "WordPiece"}),
    ("post_processor", {"type": 3}),
    ("post_processor", {**ROBERTA, "sep": "b"}),
    ("post_processor", {"sep": ["b", 1]}),
    ("decoder", {"type": 3}),
]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("sections") / "tokenizer.json"
    ranks = {bytes([byte]): byte for byte in range(256)}
    Encoding("bytes", pat_str=R50K_PATTERN, mergeable_ranks=ranks, special_tokens={}).save(path)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def write(document: dict[str, Any], section: str, value: Any, folder: Path) -> Path:
    changed = copy.copy(document)
    changed[section] = value
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(changed))
    return path


@pytest.mark.parametrize(("section", "value"), GOOD)
def test_section_that_the_library_takes_changes_no_id(document, tmp_path, section, value):
    path = write(document, section, value, tmp_path)
    expected = Tokenizer.from_file(str(path)).encode("a b", add_special_tokens=False)
    if value is not None and section == "padding":
        expected.truncate(3)
    assert Encoding.from_file(path).encode("a b") == expected.ids == [97, 32, 98]


@pytest.mark.parametrize(("section", "value"), BAD)
def test_section_that_the_library_refuses_is_named(document, tmp_path, section, value):
    path = write(document, section, value, tmp_path)
    with pytest.raises(Exception):  # noqa: B017, PT011 - the library raises nothing else
        Tokenizer.from_file(str(path))
    with pytest.raises(BadVocabulary, match=f"tokenizer.json, {section}: "):
        Encoding.from_file(path)
