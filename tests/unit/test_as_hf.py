"""`as_hf`: tokenizers of transformers with fastprep's ids, equal to transformers' own in all else."""

from __future__ import annotations

import json
import pickle
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from texts import SHARED

import fastprep
from fastprep import Encoding, as_hf, errors, get_encoding
from fastprep.exchange.hugging_face import FastTokenizer
from fastprep.vocabulary.patterns import R50K_PATTERN

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

TOKENS = {"<s>": 256, "</s>": 257, "<pad>": 258}
TEXTS = ["", "a", "one two  three", "<s>naïve</s> text", "日本 é\U0001f600", "x" * 40, " b "]
CHAT = "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}"
OPTIONS: list[dict[str, Any]] = [
    {},
    {"add_special_tokens": False},
    {"truncation": True, "max_length": 5},
    {"truncation": True, "max_length": 5, "stride": 2},
    {"truncation": "only_first", "max_length": 7, "padding": "max_length"},
    {"truncation": "longest_first", "max_length": 4, "add_special_tokens": False},
    {"padding": True},
    {"padding": "max_length", "max_length": 3},
    {"padding": True, "pad_to_multiple_of": 8, "padding_side": "left"},
    {"padding": True, "return_special_tokens_mask": True, "return_length": True},
    {"return_token_type_ids": True, "return_attention_mask": False},
    {"padding": True, "return_token_type_ids": True},
    {"return_offsets_mapping": True},
    {"return_offsets_mapping": True, "padding": True, "truncation": True, "max_length": 5},
    {"return_overflowing_tokens": True, "truncation": True, "max_length": 6, "stride": 1},
    {"split_special_tokens": True},
    {"padding": True, "return_tensors": "np"},
    {"truncation": True, "max_length": 6, "padding": True, "return_tensors": "pt"},
]


def piece(name: str, type_id: int = 0) -> dict[str, Any]:
    kind = "Sequence" if name in "AB" else "SpecialToken"
    return {kind: {"id": name, "type_id": type_id}}


def template(*single: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "TemplateProcessing",
        "single": [*single],
        "pair": [piece("<s>"), piece("A"), piece("B", 1)],
        "special_tokens": {
            "<s>": {"id": "<s>", "ids": [256], "tokens": ["<s>"]},
            "end": {"id": "end", "ids": [257, 258], "tokens": ["</s>", "<pad>"]},
        },
    }


def write(folder: Path, processor: Any = None, **config: Any) -> Path:
    """Write a tokenizer of a few merges as transformers has it."""
    folder.mkdir(exist_ok=True)
    ranks = {bytes([byte]): byte for byte in range(256) if byte not in (1,)}
    words = [b"on", b"one", b" t", b" tw", b" two", b"xx", b"xxxx", b"na"]
    ranks |= {word: 300 + number for number, word in enumerate(words)}
    ranks[b"\1"] = 299
    Encoding("small", pat_str=R50K_PATTERN, mergeable_ranks=ranks, special_tokens=TOKENS).save(
        folder / "tokenizer.json"
    )
    document = json.loads((folder / "tokenizer.json").read_text())
    if processor is not None:
        document["post_processor"] = processor
    (folder / "tokenizer.json").write_text(json.dumps(document))
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **names, **config}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


PROCESSORS: list[Any] = [
    None,
    template(piece("<s>"), piece("A"), piece("end")),
    template(piece("<s>", 3), piece("A")),
]


@pytest.fixture(params=range(len(PROCESSORS)))
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Any]:
    """A tokenizer of transformers, and fastprep's."""
    folder = write(tmp_path / "tokenizer", PROCESSORS[request.param], chat_template=CHAT)
    return transformers.AutoTokenizer.from_pretrained(str(folder)), as_hf(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "tokenizer", template(piece("<s>"), piece("A")), chat_template=CHAT)


def plain(batch: Any) -> dict[str, Any]:
    """Return outputs as lists, with the types of tensors."""
    kinds = {
        name: (type(value), str(value.dtype))
        if hasattr(value, "dtype")
        else list
        if isinstance(value, list)
        else type(value)
        for name, value in batch.items()
    }
    values = {n: v.tolist() if hasattr(v, "tolist") else v for n, v in batch.items()}
    return {"order": list(batch), "kinds": kinds, **values}


def outcome(call: Any) -> Any:
    """Return the outputs of a call, or the type of its error."""
    try:
        return plain(call())
    except BaseException as error:  # the library's panics are no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        return type(error)


def test_outputs_are_those_of_transformers(pair):
    theirs, ours = pair
    for options in OPTIONS:
        for texts in (TEXTS, tuple(TEXTS[1:3]), ["a"], *TEXTS[:5]):
            expected = outcome(lambda t=texts, o=options: theirs(t, **o))
            assert outcome(lambda t=texts, o=options: ours(t, **o)) == expected, (texts, options)


def test_pairs_words_and_targets_are_those_of_transformers(pair):
    theirs, ours = pair
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        (("a", "b"), {}),
        ((["a", "one two"], ["b", "c"]), {"padding": True, "return_special_tokens_mask": True}),
        (([("a", "b")],), {}),
        ((["one", "two"],), {"is_split_into_words": True}),
        (([["one", "two"], ["three"]],), {"is_split_into_words": True}),
        ((["one two", "a"],), {"text_target": ["b", "c"]}),
        (([],), {}),
        ((3,), {}),
        (("\ud800",), {}),
        ((["a", "b\ud800"],), {}),
    ]
    for arguments, options in calls:
        expected = outcome(lambda a=arguments, o=options: theirs(*a, **o))
        found = outcome(lambda a=arguments, o=options: ours(*a, **o))
        assert found == expected, (arguments, options)


def test_methods_are_those_of_transformers(pair):
    theirs, ours = pair
    texts = TEXTS[1:]
    assert isinstance(ours, transformers.PreTrainedTokenizerFast)
    assert isinstance(ours, FastTokenizer)
    assert (len(ours), ours.vocab_size, ours.get_vocab()) == (
        len(theirs),
        theirs.vocab_size,
        theirs.get_vocab(),
    )
    ids = theirs(texts)["input_ids"]
    for skip in (True, False):
        found = ours.batch_decode(ids, skip_special_tokens=skip)
        assert found == theirs.batch_decode(ids, skip_special_tokens=skip)
    assert ours.encode(texts[1]) == theirs.encode(texts[1])
    assert ours.tokenize(texts[1]) == theirs.tokenize(texts[1])
    assert plain(ours.pad({"input_ids": ids})) == plain(theirs.pad({"input_ids": ids}))
    messages = [{"role": "user", "content": "one two"}]
    for options in ({"tokenize": False}, {"return_dict": True}, {"return_dict": False}):
        expected = theirs.apply_chat_template(messages, **options)
        found = ours.apply_chat_template(messages, **options)
        assert (dict(found) if hasattr(found, "items") else found) == (
            dict(expected) if hasattr(expected, "items") else expected
        )


def test_encodings_of_the_library_are_made_when_asked_for(pair):
    theirs, ours = pair
    found, expected = ours(TEXTS, padding=True), theirs(TEXTS, padding=True)
    assert found.is_fast
    assert found._make is not None
    for number in range(len(TEXTS)):
        assert found.tokens(number) == expected.tokens(number)
        assert found.word_ids(number) == expected.word_ids(number)
    again = pickle.loads(pickle.dumps(ours(TEXTS)))
    assert type(again) is transformers.BatchEncoding
    assert dict(again) == dict(theirs(TEXTS))
    assert ours("one two").char_to_token(5) == theirs("one two").char_to_token(5)


def test_ids_are_of_fastprep(folder, monkeypatch):
    ours = as_hf(folder)
    expected = ours(TEXTS)["input_ids"]

    def refuse(self: Any, *arguments: Any, **options: Any) -> Any:
        raise AssertionError("the library was called")

    monkeypatch.setattr(type(ours)._base, "_encode_plus", refuse)
    monkeypatch.setattr(type(ours)._base, "_batch_encode_plus", refuse, raising=False)
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    assert ours(TEXTS)["input_ids"] == expected
    assert ours(TEXTS, padding=True, truncation=True, max_length=6, return_tensors="np")
    assert ours("a")["input_ids"] == [256, 97]
    with pytest.raises(AssertionError):
        ours("a", "b")


def test_a_saved_tokenizer_is_read_with_fastprep_and_without(folder, tmp_path):
    ours = as_hf(folder, padding_side="left")
    ours.save_pretrained(tmp_path / "saved")
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path / "saved"))
    assert not isinstance(theirs, FastTokenizer)
    for again in (type(ours).from_pretrained(str(tmp_path / "saved")), as_hf(tmp_path / "saved")):
        assert type(again) is type(ours)
        assert again.padding_side == theirs.padding_side == "left"
        assert again.chat_template == CHAT
        assert plain(again(TEXTS, padding=True)) == plain(theirs(TEXTS, padding=True))


def test_pickles_and_copies(folder):
    import copy

    ours = as_hf(folder)
    data = pickle.dumps(ours)
    for again in (pickle.loads(data), copy.deepcopy(ours)):
        assert type(again) is type(ours)
        assert again("one two")["input_ids"] == ours("one two")["input_ids"]
    ours("other")
    assert pickle.dumps(ours) == data  # datasets takes its hash


def test_tokens_that_are_added_later_are_respected(pair):
    import tokenizers

    theirs, ours = pair
    texts = [*TEXTS, "a<new>b <tool> one", "two two", "x y"]

    def same() -> None:
        assert plain(ours(texts)) == plain(theirs(texts))
        assert len(ours) == len(theirs)

    same()
    for each in pair:
        each.add_tokens(["<new>"])
    same()
    for each in pair:
        each.add_tokens(["<tool>"], special_tokens=True)
    same()
    for each in pair:
        each.add_tokens([tokenizers.AddedToken("tw", lstrip=True)])
    same()
    for each in pair:
        each.backend_tokenizer.add_tokens([tokenizers.AddedToken("<pad>", rstrip=True)])
    same()
    for each in pair:
        each.backend_tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
            single="</s> $A", pair="$A $B", special_tokens=[("</s>", 257)]
        )
    same()
    for each in pair:
        each.backend_tokenizer.normalizer = tokenizers.normalizers.NFC()
    same()


def test_the_encoding_is_made_once(folder, monkeypatch):
    import tokenizers

    ours = as_hf(folder)
    ours.backend_tokenizer.normalizer = tokenizers.normalizers.Sequence([])  # as DeepSeek's
    ours("a")
    made = ours._encoding
    monkeypatch.setattr(ours, "_read", None)
    assert ours("one two")["input_ids"] == as_hf(folder)("one two")["input_ids"]
    assert ours(TEXTS)["input_ids"]
    assert ours._encoding is made


def test_a_change_that_is_not_supported_is_reported(pair):
    import tokenizers

    theirs, ours = pair
    for each in pair:
        each.backend_tokenizer.normalizer = tokenizers.normalizers.StripAccents()
    with pytest.warns(RuntimeWarning, match="its ids are transformers' from now on"):
        found = ours(TEXTS)
    assert plain(found) == plain(theirs(TEXTS))
    assert plain(ours("é")) == plain(theirs("é"))
    for each in pair:
        each.backend_tokenizer.normalizer = None
    assert plain(ours(TEXTS)) == plain(theirs(TEXTS))
    assert ours._encoding is not None


def test_encodings_names_files_and_tokenizers_are_taken(folder, tmp_path):
    encoding = Encoding.from_file(folder)
    expected = encoding.encode_batch(TEXTS, allowed_special="all", add_special_tokens=True)
    (tmp_path / "other.json").write_bytes((folder / "tokenizer.json").read_bytes())
    made = transformers.AutoTokenizer.from_pretrained(str(folder))
    for given in (encoding, str(folder), folder / "tokenizer.json", tmp_path / "other.json", made):
        assert as_hf(given)(TEXTS)["input_ids"] == expected
    ours = as_hf(encoding, pad_token="a")
    assert (ours.bos_token, ours.eos_token, ours.pad_token) == ("<s>", "</s>", "a")
    again = as_hf(ours)
    assert again is not ours
    again.add_tokens(["<new>"])
    assert len(again) == len(ours) + 1  # the given one is not changed
    (folder / "tokenizer.json").unlink()
    assert as_hf(encoding)(TEXTS)["input_ids"] == expected


def test_a_published_encoding_is_a_tokenizer():
    ours = as_hf("gpt2", pad_token="<|endoftext|>")
    gpt2 = get_encoding("gpt2")
    text = "hello world<|endoftext|>naïve"
    assert ours(text)["input_ids"] == gpt2.encode(text, allowed_special="all")
    assert ours.decode(ours(text)["input_ids"]) == text
    assert (ours.eos_token_id, ours.pad_token_id, len(ours)) == (50256, 50256, 50257)


def test_what_is_no_fast_tokenizer_is_refused(tmp_path):
    import tokenizers

    with pytest.raises(errors.InvalidArgument, match="encoding is a"):
        as_hf(3)
    words = fastprep.SimpleTokenizerV2(fastprep.build_vocab("a b"))
    with pytest.raises(errors.InvalidArgument, match="not byte pair encoding"):
        as_hf(words)
    with pytest.raises(errors.UnknownEncoding):
        as_hf("no-such-encoding")
    unigram = tokenizers.Tokenizer(tokenizers.models.Unigram([("a", 0.0), ("b", -1.0)], unk_id=0))
    with pytest.raises(errors.BadVocabulary):
        as_hf(transformers.PreTrainedTokenizerFast(tokenizer_object=unigram))


def test_transformers_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(errors.MissingExtra, match=r"fastprep\[transformers\]"):
        as_hf("gpt2")


def test_a_data_set_is_mapped_in_processes(folder, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()
    ours = as_hf(folder)
    rows = datasets.Dataset.from_dict({"text": TEXTS})
    mapped = rows.map(ours, input_columns=["text"], batched=True, num_proc=2)
    assert mapped["input_ids"][:] == ours(TEXTS)["input_ids"]


@pytest.mark.parametrize("name", ["whisper_tiny", "phi3_mini"])
def test_real_files_agree(name, tmp_path):
    zstandard = pytest.importorskip("zstandard")
    packed = SHARED / "vocabularies" / f"{name}.json.zst"
    if not packed.exists():
        pytest.skip(f"{packed} is not there")
    with packed.open("rb") as file:
        data = zstandard.ZstdDecompressor().stream_reader(file).read()
    (tmp_path / "tokenizer.json").write_bytes(data)
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(str(tmp_path))
    ours = as_hf(tmp_path)
    draw = random.Random(name)
    alphabet = "aA1 \n\té日\u0301<|>▁_.'"
    texts = ["".join(draw.choices(alphabet, k=draw.randrange(60))) for _ in range(200)]
    texts += [" ".join(draw.choices(["the", "def", "<|en|>", "</s>", "  ", "x=1"], k=9))] * 3
    for options in ({}, {"truncation": True, "max_length": 9, "return_special_tokens_mask": True}):
        assert plain(ours(texts, **options)) == plain(theirs(texts, **options))
