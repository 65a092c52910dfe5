"""`encoding=` takes what people have: names, models, files, and objects of other libraries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastprep
from fastprep import Encoding, errors


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small vocabulary as files."""
    gpt2 = fastprep.get_encoding("gpt2")
    ranks = {token: rank for token, rank in gpt2._mergeable_ranks.items() if rank < 1000}
    small = Encoding(
        "small", pat_str=gpt2.pat_str, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 1000}
    )
    folder = tmp_path_factory.mktemp("vocabulary")
    small.save(folder / "tokenizer.json")
    return folder


def of_tiktoken(folder: Path) -> Any:
    import tiktoken

    small = Encoding.from_file(folder / "tokenizer.json")
    return tiktoken.Encoding(
        "theirs",
        pat_str=fastprep.get_encoding("gpt2").pat_str,
        mergeable_ranks=small.recipe.mergeable_ranks(),
        special_tokens=small.special_tokens,
    )


def of_tokenizers(folder: Path) -> Any:
    return pytest.importorskip("tokenizers").Tokenizer.from_file(str(folder / "tokenizer.json"))


def of_transformers(folder: Path) -> Any:
    transformers = pytest.importorskip("transformers")
    return transformers.PreTrainedTokenizerFast(tokenizer_object=of_tokenizers(folder))


TAKEN: list[Callable[[Path], Any]] = [
    lambda folder: folder / "tokenizer.json",
    lambda folder: str(folder / "tokenizer.json"),
    lambda folder: str(folder),
    lambda folder: folder,
    of_tiktoken,
    of_tokenizers,
    of_transformers,
]


@pytest.mark.parametrize("make", TAKEN)
def test_what_people_have_makes_the_same_ids(
    make: Callable[[Path], Any], folder: Path, tmp_path: Path
) -> None:
    given = make(folder)
    store = fastprep.prepare([{"text": "Do you like tea? 123"}], tmp_path / "s", encoding=given)
    expected = Encoding.from_file(folder / "tokenizer.json").encode("Do you like tea? 123")
    assert store[:].tolist() == [*expected, 1000]
    assert store.text(0) == "Do you like tea? 123"
    fastprep.verify(store, encoding=given)
    pytest.importorskip("matplotlib")
    assert fastprep.write_report(store, tmp_path / "page.html", encoding=given).exists()
    np.array([*expected, 1000], np.uint16).tofile(tmp_path / "ids.bin")
    imported = fastprep.import_tokens(
        tmp_path / "ids.bin", tmp_path / "i", format="nanogpt", encoding=given
    )
    assert imported.text(0) == "Do you like tea? 123"


def test_names_of_models_are_names_of_encodings(tmp_path: Path) -> None:
    store = fastprep.prepare([{"text": "a"}], tmp_path / "s", encoding="gpt-4o")
    assert store.encoding is fastprep.get_encoding("o200k_base")


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ("nope", errors.UnknownEncoding, "Unknown encoding nope"),
        ("", errors.UnknownEncoding, "Unknown encoding"),
        ("no/such.json", errors.UnknownEncoding, "no/such.json: .* nor a file that exists"),
        (Path("no.tiktoken"), errors.UnknownEncoding, "no.tiktoken: .* nor a file that exists"),
        (7, errors.InvalidArgument, r"encoding is a builtins.int; pass a name"),
        (None, errors.InvalidArgument, r"encoding is a builtins.NoneType"),
        (Encoding, errors.InvalidArgument, r"encoding is a builtins.type"),
    ],
)
def test_anything_else_is_refused(
    given: Any, kind: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=message):
        fastprep.prepare([{"text": "a"}], tmp_path / "s", encoding=given)


def test_from_tokenizers_has_the_tokenizers_ids(folder: Path) -> None:
    theirs = of_tokenizers(folder)
    ours = Encoding.from_tokenizers(theirs, name="mine")
    assert ours.name == "mine"
    text = "Hello, naïve 日本!\n"
    assert ours.encode(text) == theirs.encode(text).ids
    with pytest.raises(errors.InvalidArgument, match=r"builtins\.str; pass a tokenizers.Tokenizer"):
        Encoding.from_tokenizers("gpt2")
    with pytest.raises(errors.InvalidArgument, match="is not an encoding of tiktoken"):
        Encoding.from_tiktoken("gpt2")
    tokenizers = pytest.importorskip("tokenizers")
    unigram = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, unk_token="a"))
    with pytest.raises(errors.BadVocabulary, match="the tokenizer 'tokenizers'"):
        Encoding.from_tokenizers(unigram)


@pytest.mark.parametrize(
    "name", ["none.json", "none.tiktoken", "none/vocab.bpe", "merges.txt", "none/folder"]
)
def test_names_of_files_mean_the_same_to_calls_and_commands(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from fastprep.cli.main import main

    monkeypatch.chdir(tmp_path)
    with pytest.raises(fastprep.errors.UnknownEncoding, match=rf"{name}: .* nor a file"):
        fastprep.prepare([{"text": "a"}], tmp_path / "store", encoding=name)
    for option in ("--encoding", "--encoding-file", "--vocab"):
        assert main(["encode", "a", option, name]) == 1
        said = capsys.readouterr().err
        assert "no such file; check the path" in said
        assert "Errno" not in said


def test_a_file_without_a_suffix_is_found_by_calls_and_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fastprep.cli.main import main

    monkeypatch.chdir(tmp_path)
    fastprep.get_encoding("gpt2").save("vocab.json")
    Path("vocab.json").rename("vocab")
    ours: list[object] = []
    try:
        ours = list(fastprep.prepare([{"text": "a"}], "store", encoding="vocab")[:])  # type: ignore[index]
    except fastprep.errors.BadVocabulary:
        assert main(["encode", "a", "--encoding", "vocab"]) == 1
    else:
        assert main(["encode", "a", "--encoding", "vocab"]) == 0
        assert capsys.readouterr().out.split() == [str(ours[0])]
