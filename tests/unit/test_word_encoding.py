"""Word tokenizers as encodings of stores: the notebook's ids, the vocabulary kept, faults named."""

from __future__ import annotations

import pickle
import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from texts import mixed_texts

import fastprep
from fastprep.checks import plain_words as reference
from fastprep.checks.verification import verify
from fastprep.cli.main import main
from fastprep.corpus.documents import Format
from fastprep.encoding.cutting import cut
from fastprep.errors import BadVocabulary, InvalidInput, InvalidStore, InvalidUtf8
from fastprep.store.encodings import encoding_of_store, keep_vocabulary
from fastprep.store.reader import TokenStore
from fastprep.words import corpus as word_inputs
from fastprep.words.corpus import words_of_inputs
from fastprep.words.encoding import UNKNOWN, VOCABULARY, WordEncoding
from fastprep.words.tokenizers import SimpleTokenizerV1, SimpleTokenizerV2, build_vocab

END = "<|endoftext|>"


def prose(seed: int, count: int) -> list[str]:
    """Texts of words, short and long, Latin-1 and not, with all punctuation."""
    rnd = random.Random(seed)
    words = [
        "the",
        "a",
        "x" * 15,
        "y" * 16,
        "z" * 40,
        "é" * 9,
        "東京",
        "🙂",
        "don't",
        "--",
        "---",
        "a--b",
    ]
    words += [*",.:;?_!\"()'", " ", "\n", "\t", "\u3000", "\x85", END, UNKNOWN, "1", "-"]
    return ["".join(rnd.choices(words, k=rnd.randrange(0, 80))) for _ in range(count)]


@pytest.fixture(scope="module")
def encoding() -> WordEncoding:
    return WordEncoding.from_texts(prose(1, 50))


def encode(
    encoding: WordEncoding, texts: list[str], dtype: Any = np.uint16, **options: Any
) -> tuple[list[int], list[int]]:
    raw = [text.encode("utf-8", "surrogatepass") for text in texts]
    out = np.empty(encoding.most_ids(sum(map(len, raw)), len(raw)) + len(raw), dtype)
    ends = np.empty(len(raw), np.uint64)
    count = encoding.encode_documents(raw, out, ends, **options)
    return out[:count].tolist(), ends.tolist()


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_ids_are_the_notebooks(encoding: WordEncoding, dtype: Any) -> None:
    texts = prose(2, 200) + list(mixed_texts(3, 200)) + ["", " ", "a" * 100_000]
    ordinary = {word: number for word, number in encoding.vocab.items() if word != END}
    oracle = reference.SimpleTokenizerV2(ordinary)
    expected: list[int] = []
    ends = []
    for text in texts:
        expected += [*oracle.encode(text), encoding.eot_token]
        ends.append(len(expected))
    found = encode(encoding, texts, dtype, end_token=encoding.eot_token)
    assert found == (expected, ends)
    for text in texts[:50]:
        assert encoding.encode_ordinary(text) == oracle.encode(text)
        whole = reference.SimpleTokenizerV2(encoding.vocab)
        assert encoding.encode(text) == whole.encode(text)
        assert encoding.decode(np.array(encoding.encode(text), int)) == whole.decode(
            whole.encode(text)
        )


def test_parts_of_a_document_have_the_documents_ids(encoding: WordEncoding) -> None:
    for text in prose(4, 100):
        ids, _ = encode(encoding, [text])
        for size in (1, 7, 30):
            parts = [part.decode() for part in cut(text.encode(), size)]
            assert encode(encoding, parts)[0] == ids


def test_a_document_never_holds_the_end_token(encoding: WordEncoding) -> None:
    ids, _ = encode(encoding, [f"the {END} {UNKNOWN} nobody"], end_token=encoding.eot_token)
    unknown = encoding.vocab[UNKNOWN]
    assert ids == [encoding.vocab["the"], unknown, unknown, unknown, encoding.eot_token]


def test_bytes_that_are_no_text_are_named(encoding: WordEncoding) -> None:
    out, ends = np.empty(20, np.uint16), np.empty(2, np.uint64)
    with pytest.raises(InvalidUtf8) as info:
        encoding.encode_documents(["a", b"b \xff"], out, ends)
    assert (info.value.index, info.value.offset) == (1, 2)


def test_buffer_size_and_dtype_are_checked(encoding: WordEncoding) -> None:
    ends = np.empty(1, np.uint64)
    for room in range(4):
        with pytest.raises(ValueError, match="room for"):
            encoding.encode_documents(["a b c"], np.empty(room, np.uint16), ends, end_token=1)
    with pytest.raises(ValueError, match="2 texts need as many ends"):
        encoding.encode_documents(["a", "b"], np.empty(9, np.uint16), ends)
    large = WordEncoding({"a": 65536, UNKNOWN: 0})
    with pytest.raises(OverflowError, match="65536 do not fit uint16"):
        large.encode_documents(["a"], np.empty(9, np.uint16), ends)
    assert encode(large, ["a b"], np.uint32)[0] == [65536, 0]


@pytest.mark.parametrize(
    ("vocab", "message"),
    [
        ({"a": 0}, r"no <\|unk\|> for unknown words"),
        ({"a": 0, "b": 0, UNKNOWN: 1}, "'a' and 'b' have one id, 0"),
        ({"a": -1, UNKNOWN: 1}, "'a': -1"),
        ({"a": 1 << 32, UNKNOWN: 1}, "4294967296"),
        ({"a": True, UNKNOWN: 1}, "True"),
        ({"a": "0", UNKNOWN: 1}, "'a': '0'"),
        ({0: 0, UNKNOWN: 1}, "0: 0"),
        ({"\ud800": 0, UNKNOWN: 1}, "the word has no UTF-8"),
    ],
)
def test_invalid_vocabulary_is_refused(vocab: Any, message: str) -> None:
    with pytest.raises(BadVocabulary, match=message):
        WordEncoding(vocab)


def test_a_vocabulary_file_is_read_back_or_refused(encoding: WordEncoding, tmp_path: Path) -> None:
    keep_vocabulary(encoding, [tmp_path])
    path = tmp_path / VOCABULARY
    back = WordEncoding.from_file(path)
    assert back.vocab == encoding.vocab
    assert back.rank_table_sha256 == encoding.rank_table_sha256
    for content in (b"", b"[]", b'{"a": 0.5}', b'{"a": 0}', b"\xff", b'{"a": 0, "<|unk|>": 0}'):
        path.write_bytes(content)
        with pytest.raises(BadVocabulary, match=r"vocabulary\.json"):
            WordEncoding.from_file(path)


def test_encoding_can_be_pickled(encoding: WordEncoding) -> None:
    back = pickle.loads(pickle.dumps(encoding))
    assert back.vocab == encoding.vocab
    assert encode(back, prose(5, 5)) == encode(encoding, prose(5, 5))


def corpus(directory: Path, texts: list[str]) -> Path:
    path = directory / "a.jsonl"
    path.write_bytes(b"\n".join(msgspec.json.encode({"text": text}) for text in texts))
    return path


def test_the_words_of_a_corpus_do_not_depend_on_the_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_inputs, "_MIN_BYTES_PER_THREAD", 100)
    texts = prose(7, 80)
    path = corpus(tmp_path, texts)
    expected = build_vocab(texts)
    for threads in (1, 2, 7):
        found = words_of_inputs(path, Format(), threads).vocab
        assert list(found.items()) == list(expected.items())
    lines = path.read_bytes().splitlines()
    lines[30] = lines[60] = b"no line"
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(InvalidInput, match=r"a\.jsonl, line 31: "):
        words_of_inputs(path, Format(), 7)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_store_of_words_is_made_decoded_and_verified(workers: int, tmp_path: Path) -> None:
    texts = prose(6, 60)
    vocab = build_vocab(texts[:30])
    store = fastprep.prepare(
        corpus(tmp_path, texts),
        tmp_path / "store",
        encoding=SimpleTokenizerV2(vocab),
        workers=workers,
        shard_bytes=2000,
        block_bytes=300,
        progress=False,
    )
    record = store.manifest.encoding
    assert (record.kind, record.name, store.vocab_size) == (
        "words",
        "words",
        max(vocab.values()) + 1,
    )
    words = {word: number for word, number in vocab.items() if word != END}
    oracle = reference.SimpleTokenizerV2(words)
    for number, text in enumerate(texts):
        assert store.document(number).tolist() == [*oracle.encode(text), vocab[END]]
    kept = encoding_of_store(store)
    assert isinstance(kept, WordEncoding)
    assert kept.vocab == vocab
    assert verify(store, against="notebook").compared == 60
    with pytest.raises(InvalidInput, match="is a word tokenizer"):
        verify(store, against="tiktoken")


def test_a_store_names_a_vocabulary_that_is_not_its_own(tmp_path: Path) -> None:
    path = corpus(tmp_path, ["a b", "c"])
    assert main(["prepare", str(path), "-o", str(tmp_path / "s"), "--words", "--quiet"]) == 0
    store = TokenStore(tmp_path / "s")
    vocabulary = tmp_path / "s" / VOCABULARY
    content = vocabulary.read_bytes()
    vocabulary.write_bytes(content.replace(b'"a"', b'"d"'))
    with pytest.raises(InvalidStore, match="its sha256 is"):
        encoding_of_store(store)
    vocabulary.unlink()
    with pytest.raises(InvalidStore, match=r"vocabulary\.json: missing"):
        verify(store, against="notebook")
    vocabulary.write_bytes(content)
    verify(store, against="notebook")


def test_the_command_makes_uses_and_exports_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = corpus(tmp_path, ["to be, or not to be", "that is"])
    store, other = str(tmp_path / "s"), str(tmp_path / "t")
    assert main(["prepare", str(path), "-o", store, "--words"]) == 0
    vocabulary = str(tmp_path / "s" / VOCABULARY)
    assert main(["encode", "to be that", "--vocab", vocabulary]) == 0
    assert main(["verify", store, "--against", "notebook", "--quiet"]) == 0
    assert main(["prepare", str(path), "-o", other, "--vocab", vocabulary, "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["6 1 5"]
    names = sorted(file.name for file in (tmp_path / "s").iterdir())
    assert names == ["manifest.json", "shard-00000.bin", "shard-00000.ends", VOCABULARY]
    assert all(
        (tmp_path / "s" / name).read_bytes() == (tmp_path / "t" / name).read_bytes()
        for name in names
    )
    assert main(["decode", "6", "1", "5", "--vocab", vocabulary]) == 0
    assert capsys.readouterr().out == "to be that"
    exported = str(fastprep.export_store(store, format="megatron", output=tmp_path / "m")[-1])
    command = ["import", exported, "-o", str(tmp_path / "back"), "--from", "megatron", "--quiet"]
    assert main([*command, "--vocab", vocabulary]) == 0
    verify(tmp_path / "back", encoding=encoding_of_store(TokenStore(store)))
    assert (tmp_path / "back" / VOCABULARY).exists()


def test_words_of_bad_inputs_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"good\n\xff")
    command = ["prepare", str(path), "-o", str(tmp_path / "s"), "--words"]
    assert main(command) == 1
    assert not (tmp_path / "s").exists()
    assert main([*command, "--on-error", "replace", "--quiet"]) == 0
    with pytest.raises(BadVocabulary, match="make a store with SimpleTokenizerV2"):
        fastprep.prepare(path, tmp_path / "t", encoding=SimpleTokenizerV1({"a": 0}))  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"has no <\|endoftext\|>"):
        fastprep.prepare(path, tmp_path / "t", encoding=WordEncoding({UNKNOWN: 0}))


def test_a_report_shows_words(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the report's plots need fastprep[report]")
    store = fastprep.prepare(
        corpus(tmp_path, ["to be, or not"]),
        tmp_path / "s",
        encoding=SimpleTokenizerV2(build_vocab("to be, or")),
        progress=False,
    )
    page = fastprep.write_report(store, tmp_path / "a.html").read_text(encoding="utf-8")
    assert '<b data-t="3">to</b> <b data-t="1">be</b> <b data-t="0">,</b>' in page
    assert "vocabulary, sha256" in page
