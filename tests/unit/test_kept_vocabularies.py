"""A store keeps any vocabulary, also one that no tokenizer.json of ours can hold."""

from __future__ import annotations

import pytest
from vocabulary_kinds import (
    clip_style,
    falcon_style,
    gemma_style,
    llama_style,
    mistral_style,
    words_style,
)

from fastprep import Encoding, TokenStore, prepare, verify
from fastprep.errors import InvalidStore

TEXT = "Hello  world 1234, naïve 中文!\n\ta"


@pytest.mark.parametrize(
    "style", [llama_style, gemma_style, mistral_style, words_style, falcon_style, clip_style]
)
def test_a_store_keeps_a_vocabulary_of_any_kind(style, tmp_path):
    path = tmp_path / "tokenizer.json"
    style().save(str(path))
    encoding = Encoding.from_file(path)
    expected = encoding.encode_ordinary(TEXT)
    (tmp_path / "a.txt").write_text(TEXT)
    prepare(tmp_path / "a.txt", tmp_path / "store", encoding=encoding, eot="none", progress=False)
    path.unlink()
    (tmp_path / "store").rename(tmp_path / "moved")
    store = TokenStore(tmp_path / "moved")
    assert store.encoding.encode_ordinary(TEXT) == expected == store.document(0).tolist()
    assert store.encoding.name == encoding.name
    assert (tmp_path / "moved" / "vocabulary.fastprep").exists()
    verify(tmp_path / "moved")
    # Its files are all its own, so it can be replaced.
    again = prepare(
        tmp_path / "a.txt", tmp_path / "moved", encoding="gpt2", overwrite=True, progress=False
    )
    assert again.encoding.name == "gpt2"


@pytest.mark.parametrize("style", [llama_style, falcon_style])
def test_a_damaged_vocabulary_is_named(style, tmp_path):
    style().save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "a.txt").write_text(TEXT)
    prepare(
        tmp_path / "a.txt", tmp_path / "moved", encoding=tmp_path / "tokenizer.json", eot="none",
        progress=False,
    )  # fmt: skip
    kept = tmp_path / "moved" / "vocabulary.fastprep"
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(InvalidStore, match="sha256"):
        TokenStore(tmp_path / "moved").encoding  # noqa: B018
