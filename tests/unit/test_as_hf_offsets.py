"""Offsets of `as_hf`, and its lists in Arrow and pickles."""

from __future__ import annotations

import copy
import json
import pickle
import random
from typing import Any

import pytest
from tokenizer_styles import gpt2_style, llama3_style, qwen2_style, roberta_style
from tokenizers import AddedToken, Tokenizer
from vocabulary_kinds import falcon_style, llama_style

from fastprep import as_hf

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

ATOMS = [
    "e\u0301",
    "  ",
    " ",
    "\n",
    "\t",
    "the",
    "é",
    "中",
    "🙂",
    "<s>",
    " <mask> ",
    "12",
    "\u00a0",
    "Ġ",
    "word",
]
BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": True,
    "trim_offsets": True,
    "use_regex": True,
}
PROCESSORS: list[Any] = [
    None,
    BYTE_LEVEL,
    {**BYTE_LEVEL, "add_prefix_space": False},
    {**BYTE_LEVEL, "trim_offsets": False},
]


def pair(style: Any, processor: Any) -> tuple[Any, Any]:
    tokenizer = style()
    tokenizer.add_tokens(
        [AddedToken("   ", normalized=True), AddedToken(" Ġword ", normalized=False)]
    )
    document = json.loads(tokenizer.to_str())
    if processor != "own":
        document["post_processor"] = processor
    inside = Tokenizer.from_str(json.dumps(document))
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_object=inside)
    theirs.add_special_tokens({"pad_token": "<pad>"})
    return theirs, as_hf(theirs)


@pytest.mark.parametrize("processor", [*PROCESSORS, "own"])
@pytest.mark.parametrize("style", [gpt2_style, llama3_style, qwen2_style])
def test_offsets_are_those_of_transformers(style, processor):
    theirs, ours = pair(style, processor)
    rnd = random.Random(4)
    texts = [*ATOMS, "", *("".join(rnd.choices(ATOMS, k=rnd.randrange(1, 9))) for _ in range(60))]
    options = {"return_offsets_mapping": True}
    assert dict(ours(texts, **options)) == dict(theirs(texts, **options))
    assert ours._offsets is not None
    options |= {"padding": True, "truncation": True, "max_length": 4}
    assert dict(ours(texts, **options)) == dict(theirs(texts, **options))
    assert dict(ours(texts[0], **options)) == dict(theirs(texts[0], **options))


@pytest.mark.parametrize("style", [roberta_style, falcon_style, llama_style])
def test_others_are_left_to_the_library(style):
    theirs, ours = pair(style, "own")
    texts = [*ATOMS, "a the <s> é"]
    options = {"return_offsets_mapping": True}
    assert dict(ours(texts, **options)) == dict(theirs(texts, **options))


def in_arrow(rows: list[Any]) -> Any:
    import pyarrow as pa

    try:
        array = pa.array(rows)
    except (pa.ArrowException, OverflowError) as error:
        return type(error)
    return array.type, array.to_pylist()


def test_lists_are_converted_to_arrow_and_pickled_as_lists():
    pa = pytest.importorskip("pyarrow")
    theirs, ours = pair(gpt2_style, None)
    texts = ["the word", "", "é"]
    expected = theirs(texts)["input_ids"]
    found = ours(texts)["input_ids"]
    assert pa.array(found).equals(pa.array(expected))
    assert pa.array(found, pa.list_(pa.int32())).equals(pa.array(expected, pa.list_(pa.int32())))
    for other in (pickle.loads(pickle.dumps(found)), copy.copy(found), copy.deepcopy(found)):
        assert type(other) is list
        assert other == expected
    # What is changed afterwards counts, and need not be ints.
    for change in (7, -1, True, None, 2.5, 1 << 40, 1 << 70):
        rows = ours(texts)["input_ids"]
        rows[1].append(change)
        assert in_arrow(rows) == in_arrow([*rows])
    for row in (None, (1, 2), [], [None], 3):
        rows = ours(texts)["input_ids"]
        rows[0] = row
        assert in_arrow(rows) == in_arrow([*rows])
