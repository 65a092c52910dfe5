"""Files beside a vocabulary: which tokens begin, end and pad a text, and what is added on request."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers

from fastprep import Encoding, get_encoding
from fastprep.errors import BadVocabulary, InvalidArgument
from fastprep.vocabulary.patterns import R50K_PATTERN

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True}
TOKENS = {"<s>": 256, "</s>": 257, "<pad>": 258}
TEXTS = ["", "a", "one two", "naïve <s> text</s>", "日本"]


def piece(name: str) -> dict[str, Any]:
    kind = "Sequence" if name in "AB" else "SpecialToken"
    return {kind: {"id": name, "type_id": 0}}


def template(*single: str) -> dict[str, Any]:
    return {
        "type": "TemplateProcessing",
        "single": [piece(name) for name in single],
        "pair": [piece("A"), piece("B")],
        "special_tokens": {
            "<s>": {"id": "<s>", "ids": [256], "tokens": ["<s>"]},
            "end": {"id": "end", "ids": [257, 258], "tokens": ["</s>", "<pad>"]},
        },
    }


ROBERTA = {"type": "RobertaProcessing", "sep": ["</s>", 257], "cls": ["<s>", 256]} | {
    "trim_offsets": True,
    "add_prefix_space": True,
}
PROCESSORS: list[Any] = [
    None,
    BYTE_LEVEL,
    template("A"),
    template("<s>", "A"),
    template("A", "end"),
    template("<s>", "<s>", "A", "end", "<s>"),
    {"type": "Sequence", "processors": [BYTE_LEVEL, template("<s>", "A", "end")]},
    {"type": "Sequence", "processors": [{"type": "Sequence", "processors": [ROBERTA]}]},
    ROBERTA,
    {"type": "BertProcessing", "sep": ["</s>", 257], "cls": ["<s>", 256]},
    {"sep": ["</s>", 257], "cls": ["<s>", 256]},
]


def write(folder: Path, processor: Any = None, **configs: Any) -> Path:
    """Write a tokenizer.json of single bytes, and configuration files beside it."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    Encoding("bytes", pat_str=R50K_PATTERN, mergeable_ranks=ranks, special_tokens=TOKENS).save(
        folder / "tokenizer.json"
    )
    document = json.loads((folder / "tokenizer.json").read_text())
    document["post_processor"] = processor
    (folder / "tokenizer.json").write_text(json.dumps(document))
    for name, content in configs.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder / "tokenizer.json"


@pytest.mark.parametrize("processor", PROCESSORS, ids=range(len(PROCESSORS)))
def test_what_a_post_processor_adds_is_added_on_request_everywhere(tmp_path, processor):
    import pyarrow as pa

    path = write(tmp_path, processor)
    theirs = tokenizers.Tokenizer.from_file(str(path))
    encoding = Encoding.from_file(path)
    options: Any = {"allowed_special": "all", "add_special_tokens": True}
    for text in TEXTS:
        expected = theirs.encode(text)
        assert encoding.encode(text, **options) == expected.ids
        assert encoding.encode_to_numpy(text, **options).tolist() == expected.ids
        for dtype in (np.uint16, np.uint32):
            out: Any = np.empty(60, dtype)
            assert encoding.encode_to_numpy(text, out=out, **options).tolist() == expected.ids
        assert encoding.count(text, **options) == len(expected.ids)
        ids, spans = encoding.encode_with_offsets(text, **options)
        assert ids == expected.ids
        added = sum(map(len, encoding.recipe.template))
        assert spans.count((0, 0)) == added
        plain = encoding.encode(text, allowed_special="all")
        assert plain == theirs.encode(text, add_special_tokens=False).ids
    assert encoding.encode_batch(TEXTS, **options) == [theirs.encode(text).ids for text in TEXTS]
    rows = ["a b", None, "", "c"]
    expected_rows = [None if row is None else theirs.encode(row).ids for row in rows]
    for kind in (pa.string(), pa.large_string()):
        found = encoding.encode_arrow(pa.array(rows, kind), add_special_tokens=True)
        assert found.to_pylist() == expected_rows
    chunks = pa.chunked_array([rows[:1], rows[1:]])
    found = encoding.encode_arrow(chunks, add_special_tokens=True)
    assert found.to_pylist() == expected_rows


def test_a_limit_counts_added_tokens_as_the_library_does(tmp_path):
    path = write(tmp_path, template("<s>", "A", "end"))
    theirs = tokenizers.Tokenizer.from_file(str(path))
    encoding = Encoding.from_file(path)
    for limit in (4, 5, 50):
        theirs.enable_truncation(limit)
        ids = encoding.encode("one two", add_special_tokens=True, max_tokens=limit)
        assert ids == theirs.encode("one two").ids
        found = encoding.encode_to_numpy("one two", add_special_tokens=True, max_tokens=limit)
        assert found.tolist() == ids
    for call in (encoding.encode, encoding.encode_to_numpy):
        with pytest.raises(InvalidArgument, match="max_tokens, with the special tokens"):
            call("one", add_special_tokens=True, max_tokens=2)


def test_an_array_without_room_for_added_tokens_is_refused(tmp_path):
    encoding = Encoding.from_file(write(tmp_path, template("<s>", "A", "end")))
    for size in (0, 2, 3, 5):
        with pytest.raises(ValueError, match="room for"):
            encoding.encode_to_numpy("one", add_special_tokens=True, out=np.empty(size, np.uint32))
    with pytest.raises(ValueError, match="out must be"):
        encoding.encode_to_numpy("one", add_special_tokens=True, out=[])  # type: ignore[call-overload]


def test_a_published_encoding_adds_nothing():
    gpt2 = get_encoding("gpt2")
    assert gpt2.encode("a b", add_special_tokens=True) == gpt2.encode("a b")
    assert gpt2.encode_to_numpy("a b", add_special_tokens=True).tolist() == gpt2.encode("a b")
    assert (gpt2.bos_token, gpt2.eos_token, gpt2.pad_token_id) == (None, "<|endoftext|>", None)


@pytest.mark.parametrize(
    ("processor", "fault"),
    [
        (template("<s>"), "the text 0 times"),
        (template("A", "A"), "the text 2 times"),
        (template("x", "A"), "'x' is not among"),
        ({**ROBERTA, "cls": ["<s>", 999]}, "the id 999"),
        ({**template("A"), "single": "A"}, "post_processor"),
        ({"type": "Sequence", "processors": [{"type": "x"}]}, r"processors\[0\]"),
    ],
)
def test_a_damaged_template_is_named(tmp_path, processor, fault):
    path = write(tmp_path, processor)
    with pytest.raises(BadVocabulary, match=fault) as error:
        Encoding.from_file(path)
    assert str(path) in str(error.value)


def test_a_saved_encoding_adds_the_same(tmp_path):
    encoding = Encoding.from_file(write(tmp_path, template("<s>", "A", "end")))
    (tmp_path / "again").mkdir()
    encoding.save(tmp_path / "again" / "tokenizer.json")
    again = Encoding.from_file(tmp_path / "again")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "again" / "tokenizer.json"))
    expected = encoding.encode("a b", add_special_tokens=True)
    assert again.encode("a b", add_special_tokens=True) == expected == theirs.encode("a b").ids
    both = [encoding.encode(text, add_special_tokens=True) for text in "ab"]
    assert theirs.encode("a", "b").ids == [*both[0], *both[1]]


def roles(encoding: Encoding) -> tuple[str | None, ...]:
    return encoding.bos_token, encoding.eos_token, encoding.pad_token, encoding.unk_token


@pytest.mark.parametrize(
    ("configs", "expected"),
    [
        ({}, (None, None, None, None)),
        ({"tokenizer_config": {"bos_token": "<s>", "eos_token": None}}, ("<s>", None, None, None)),
        (
            {"tokenizer_config": {"eos_token": {"content": "</s>", "special": True}}},
            (None, "</s>", None, None),
        ),
        ({"tokenizer_config": {"unk_token": "a"}}, (None, None, None, "a")),  # an ordinary token
        ({"tokenizer_config": {"pad_token": "[PAD]"}}, (None, None, None, None)),  # not a token
        ({"special_tokens_map": {"pad_token": "<pad>"}}, (None, None, "<pad>", None)),
        (
            {
                "tokenizer_config": {"eos_token": "<pad>", "bos_token": "<s>"},
                "special_tokens_map": {"eos_token": {"content": "</s>"}},
            },
            ("<s>", "</s>", None, None),
        ),
        (
            {
                "tokenizer_config": {"eos_token": "<pad>", "added_tokens_decoder": {}},
                "special_tokens_map": {"eos_token": "</s>"},
            },
            (None, "<pad>", None, None),
        ),
        (
            {
                "tokenizer_config": {"eos_token": "</s>"},
                "generation_config": {"bos_token_id": 256, "eos_token_id": [258, 257]},
            },
            ("<s>", "</s>", None, None),
        ),
        (
            {"generation_config": {"eos_token_id": [257, 258], "pad_token_id": 258}},
            (None, "</s>", "<pad>", None),
        ),
        ({"generation_config": {"eos_token_id": 7000, "bos_token_id": None}}, (None,) * 4),
        ({"generation_config": {"eos_token_id": []}}, (None,) * 4),
    ],
)
def test_files_beside_a_vocabulary_name_its_tokens(tmp_path, configs, expected):
    path = write(tmp_path, **configs)
    encoding = Encoding.from_file(path)
    assert roles(encoding) == expected
    assert roles(Encoding.from_file(tmp_path)) == expected
    assert roles(pickle.loads(pickle.dumps(encoding))) == expected
    ids = (encoding.bos_token_id, encoding.eos_token_id, encoding.pad_token_id)
    assert ids == tuple(None if token is None else TOKENS[token] for token in expected[:3])


@pytest.mark.parametrize(
    ("configs", "processor", "before", "after"),
    [
        ({"add_bos_token": True, "add_eos_token": False}, None, [256], []),
        ({"add_bos_token": True, "add_eos_token": True}, BYTE_LEVEL, [256], [257]),
        ({"add_eos_token": True}, None, [], [257]),
        ({"add_bos_token": None}, None, [], []),
        # A template of the file wins.
        ({"add_bos_token": False}, template("<s>", "A"), [256], []),
        ({"add_eos_token": True}, template("<s>", "A"), [256], []),
        ({"add_bos_token": True, "bos_token": None}, None, [], []),
    ],
)
def test_flags_of_the_configuration_count_without_a_template(
    tmp_path, configs, processor, before, after
):
    names = {"bos_token": "<s>", "eos_token": "</s>"}
    path = write(tmp_path, processor, tokenizer_config=names | configs)
    encoding = Encoding.from_file(path)
    assert encoding.encode("a", add_special_tokens=True) == [*before, 97, *after]
    assert encoding.encode("a") == [97]


@pytest.mark.parametrize("name", ["tokenizer_config", "special_tokens_map", "generation_config"])
@pytest.mark.parametrize("content", ["{", "[]", '{"bos_token": 3, "eos_token_id": "x"}'])
def test_a_damaged_file_beside_a_vocabulary_is_named(tmp_path, name, content):
    path = write(tmp_path)
    (tmp_path / f"{name}.json").write_text(content)
    with pytest.raises(BadVocabulary, match=f"{name}.json"):
        Encoding.from_file(path)


def test_tokens_of_a_ranks_file_are_named_beside_it(tmp_path):
    ranks = {bytes([byte]): byte for byte in range(256)}
    made = Encoding("b", pat_str=".", mergeable_ranks=ranks, special_tokens={})
    made.save(tmp_path / "mine.tiktoken")
    config = {
        "added_tokens_decoder": {"256": {"content": "<s>"}, "257": {"content": "</s>"}},
        "bos_token": "<s>",
        "eos_token": "</s>",
        "add_bos_token": True,
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    encoding = Encoding.from_file(tmp_path / "mine.tiktoken", pat_str=R50K_PATTERN)
    assert encoding.encode("a", add_special_tokens=True) == [256, 97]
    again = pickle.loads(pickle.dumps(encoding))
    assert again.eos_token == "</s>"
    assert again.encode("a", add_special_tokens=True) == [256, 97]


def test_a_tokenizer_of_transformers_names_its_tokens(tmp_path):
    transformers = pytest.importorskip("transformers")
    path = write(tmp_path, template("<s>", "A"))
    theirs = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer.from_file(str(path)),
        bos_token="<s>",
        eos_token="</s>",
    )
    encoding = Encoding.from_tokenizers(theirs)
    assert roles(encoding) == ("<s>", "</s>", None, None)
    assert encoding.encode("a", add_special_tokens=True) == theirs("a")["input_ids"]


def test_a_sentencepiece_model_names_its_tokens(tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    (tmp_path / "text.txt").write_text("low lower lowest new newer newest\n" * 20)
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text.txt"),
        model_prefix=str(tmp_path / "tokenizer"),
        model_type="bpe",
        vocab_size=290,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        pad_id=3,
        minloglevel=2,
    )
    encoding = Encoding.from_file(tmp_path / "tokenizer.model")
    assert roles(encoding) == ("<s>", "</s>", "<pad>", "<unk>")
    assert encoding.encode("low", add_special_tokens=True) == encoding.encode("low")
    flags = {"add_bos_token": True, "bos_token": "<s>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(flags))
    encoding = Encoding.from_file(tmp_path / "tokenizer.model")
    assert encoding.encode("low", add_special_tokens=True) == [1, *encoding.encode("low")]
