"""All ways to encode a text with an encoding from a file give the ids of ``encode``."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tokenizer_styles import FOREIGN, STYLES, both, deepseek3_style, phi_style, qwen2_style, texts

from fastprep import Encoding, get_encoding
from fastprep.errors import BadVocabulary, FastprepError, InvalidUtf8, TextIsChanged

every_style = pytest.mark.parametrize("style", [*STYLES, *FOREIGN])


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokenizers")


def made(style, directory: Path) -> tuple[Encoding, list[str]]:
    return both(style, directory)[1], [
        *texts(seed=4, count=150),
        "a\x00b" * 300,
        "中文<s> 12" * 200,
    ]


@every_style
def test_arrays_and_counts(style, directory):
    encoding, batch = made(style, directory)
    for text in batch:
        for options in ({"allowed_special": "all"}, {"disallowed_special": ()}):
            ids = encoding.encode(text, **options)
            array = encoding.encode_to_numpy(text, **options)
            assert array.dtype == np.uint32
            assert array.tolist() == ids
            assert encoding.count(text, **options) == len(ids)
        ordinary = encoding.encode_ordinary(text)
        data = text.encode()
        for source in (data, bytearray(data), memoryview(b"x" + data)[1:]):
            assert encoding.encode_bytes(source).tolist() == ordinary
        assert encoding._encode_bytes(data) == ordinary


@every_style
@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_the_callers_array(style, dtype, directory):
    encoding, batch = made(style, directory)
    for text in batch:
        ids = encoding.encode(text, allowed_special="all")
        for spare in (0, 5, 4 * len(text.encode()) + 10):
            out = np.full(len(ids) + spare, 7, dtype)
            found = encoding.encode_to_numpy(text, allowed_special="all", out=out)
            assert found.tolist() == ids
            assert found.dtype == dtype
            assert len(ids) == 0 or np.shares_memory(found, out)
        if ids:
            short = np.empty(len(ids) - 1, dtype)
            with pytest.raises(ValueError, match=f"has {len(ids)} ids; there is room for"):
                encoding.encode_to_numpy(text, allowed_special="all", out=short)


@every_style
def test_max_tokens_limits_the_ids(style, directory):
    encoding, batch = made(style, directory)
    for text in batch:
        ids = encoding.encode(text, allowed_special="all")
        ordinary = encoding.encode_ordinary(text)
        for most in {0, 1, 2, len(ids) // 2, len(ids) - 1, len(ids), len(ids) + 9} - {-1}:
            allowed = {"allowed_special": "all", "max_tokens": most}
            assert encoding.encode(text, **allowed) == ids[:most]
            assert encoding.encode_to_numpy(text, **allowed).tolist() == ids[:most]
            assert encoding.encode_ordinary(text, max_tokens=most) == ordinary[:most]


@every_style
def test_batches(style, directory):
    encoding, batch = made(style, directory)
    copy = pickle.loads(pickle.dumps(encoding))
    allowed = [encoding.encode(text, allowed_special="all") for text in batch]
    ordinary = [encoding.encode_ordinary(text) for text in batch]
    for same in (encoding, copy):
        for threads in (1, 3):
            found = same.encode_batch(batch, allowed_special="all", num_threads=threads)
            assert found == allowed
            assert same.encode_ordinary_batch(batch, num_threads=threads) == ordinary
        assert list(same.decode_batch(allowed)) == [encoding.decode(ids) for ids in allowed]


@every_style
def test_documents(style, directory):
    encoding, batch = made(style, directory)
    sources = [text.encode() if i % 2 else text for i, text in enumerate(batch)]
    size = sum(len(text.encode()) for text in batch)
    out = np.empty(encoding.most_ids(size, len(batch)) + len(batch), np.uint32)
    ends = np.empty(len(batch), np.uint64)
    for close_last in (True, False):
        written = encoding.encode_documents(sources, out, ends, end_token=7, close_last=close_last)
        expected = [[*encoding.encode_ordinary(text), 7] for text in batch]
        expected[-1] = expected[-1][: None if close_last else -1]
        assert out[:written].tolist() == [i for ids in expected for i in ids]
        assert ends.tolist() == np.cumsum([len(ids) for ids in expected]).tolist()


@every_style
def test_arrow_columns(style, directory):
    encoding, batch = made(style, directory)
    column = pa.chunked_array([batch[:50], [None, *batch[50:]]], pa.string())
    expected = [
        None if text is None else encoding.encode_ordinary(text) for text in column.to_pylist()
    ]
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        for threads in (1, 3):
            found = encoding.encode_arrow(column.cast(kind), num_threads=threads)
            assert pa.chunked_array(found).to_pylist() == expected


@every_style
def test_lone_surrogates_and_invalid_utf8(style, directory):
    encoding, _ = made(style, directory)
    repaired = encoding.encode("a\ufffdb")
    assert encoding.encode("a\ud800b") == encoding.encode_ordinary("a\ud800b") == repaired
    assert encoding.count("a\ud800b") == len(repaired)
    assert encoding.encode_batch(["a\ud800b"]) == [repaired]
    with pytest.raises(UnicodeEncodeError):
        encoding.encode_to_numpy("a\ud800b")
    for data in (b"abc\xff", b"\xe4\xb8"):
        with pytest.raises(InvalidUtf8, match="byte"):
            encoding.encode_bytes(data)
    with pytest.raises(TypeError):
        encoding.encode(b"bytes")  # type: ignore[arg-type]


@every_style
def test_tokens_by_name_and_by_bytes(style, directory):
    encoding, _ = made(style, directory)
    for token, id in encoding._special_tokens.items():
        assert encoding.encode_single_token(token) == id
        assert encoding.decode_single_token_bytes(id) == token.encode()
        assert encoding.is_special_token(id)
    for id in range(0, encoding.n_vocab, 37):
        # An added token may equal one of the vocabulary, and then takes precedence.
        token = encoding.decode_single_token_bytes(id)
        assert encoding.decode_single_token_bytes(encoding.encode_single_token(token)) == token


@pytest.mark.parametrize("style", [qwen2_style, phi_style])
def test_unsupported_calls_on_changed_text_are_typed_errors(style, directory):
    encoding, _ = made(style, directory)
    for ask in (
        lambda: encoding.encode_with_unstable("hello fanta"),
        lambda: encoding._encode_bytes(b"hello \xe4\xb8"),
    ):
        with pytest.raises(TextIsChanged, match="changes text before it splits it") as error:
            ask()
        assert isinstance(error.value, (FastprepError, NotImplementedError))


def test_text_that_is_not_changed_is_supported(directory):
    encoding, _ = made(deepseek3_style, directory)
    plain = Encoding.from_file(directory / "deepseek3_style.json")
    assert plain.encode("中文 hello") == encoding.encode("中文 hello")
    both(STYLES[0], directory)
    gpt2 = Encoding.from_file(directory / f"{STYLES[0].__name__}.json")
    certain, possible = gpt2.encode_with_unstable("hello worl")
    assert all(gpt2.decode_bytes([*certain, *rest]).startswith(b"hello worl") for rest in possible)


def test_two_special_tokens_of_one_id_are_named(tmp_path):
    harmony = get_encoding("o200k_harmony")
    message = (
        r"o200k_harmony: '<\|endofprompt\|>' and '<\|reserved_200018\|>' both have the id 200018"
    )
    with pytest.raises(BadVocabulary, match=message):
        harmony.save(tmp_path / "tokenizer.json")
    assert not list(tmp_path.iterdir())
    harmony.save(tmp_path / "ranks.tiktoken")  # which does not name special tokens
