"""The cache of vocabularies, files of whole recipes, and pickles by reference."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from tokenizer_styles import deepseek3_style, qwen2_style
from vocabulary_kinds import clip_style, falcon_style, gemma_style, llama_style, words_style

from fastprep import Encoding, get_encoding
from fastprep.errors import BadVocabulary
from fastprep.vocabulary import cached
from fastprep.vocabulary.merge_list import MergeList
from fastprep.vocabulary.recipe import AddedToken, Recipe
from fastprep.vocabulary.recipe_file import MAGIC, _Header, from_recipe_file, to_recipe_file

TEXT = "Hello  world 1234, naïve 中文!\n\n\tdef f(x): return 'ſ'"
STYLES = [
    *(qwen2_style, deepseek3_style, llama_style, gemma_style, words_style, falcon_style),
    clip_style,
]


@pytest.fixture
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield the directory of the cache, which takes files of any size."""
    monkeypatch.setenv("FASTPREP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cached, "MIN_FILE_BYTES", 0)
    return tmp_path / "cache" / "vocabularies"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokenizer.json"
    qwen2_style().save(str(path))
    return path


def same(one: Recipe, other: Recipe) -> bool:
    """Return whether two recipes have equal fields, except for where they were read."""
    for name in Recipe.__slots__:
        a, b = getattr(one, name), getattr(other, name)
        if name == "merge_list" and a is not None:
            assert isinstance(a, MergeList)
            equal = a.merges.tolist() == b.merges.tolist() and a.whole_pieces == b.whole_pieces
            a, b = a.table, b.table
            equal &= a.blob == b.blob and a.sha256 == b.sha256 and a.ids.tolist() == b.ids.tolist()
        elif name in ("ranks", "source", "content"):
            continue
        else:
            equal = repr(a) == repr(b)
        if not equal:
            return False
    return True


@pytest.mark.parametrize("style", STYLES)
def test_a_file_of_a_recipe_holds_all_of_it(style, tmp_path):
    path = tmp_path / "tokenizer.json"
    style().save(str(path))
    made = Encoding.from_file(path)
    made.save(tmp_path / "a.fastprep")
    again = Encoding.from_file(tmp_path / "a.fastprep")
    assert same(made.recipe, again.recipe)
    assert again.name == made.name
    assert again.encode(TEXT, allowed_special="all") == made.encode(TEXT, allowed_special="all")
    assert again.decode(again.encode(TEXT)) == made.decode(made.encode(TEXT))
    assert to_recipe_file(again.recipe) == (tmp_path / "a.fastprep").read_bytes()


def test_a_file_of_a_recipe_holds_ranks_and_each_field(tmp_path):
    get_encoding("gpt2").save(tmp_path / "gpt2.fastprep")
    again = Encoding.from_file(tmp_path / "gpt2.fastprep", name="mine")
    assert again.name == "mine"
    assert again.encode("hello world") == [31373, 995]
    assert again.special_tokens == {"<|endoftext|>": 50256}
    fields = {
        "added": [AddedToken("é\0", 5, False, True, True, True, True)],
        "others": {b"\xff\x00": 7},
        "missing": "error",
        "steps": (("Replace", "a", "b"), ("NFKC",)),
        "empty": 9,
    }
    table = get_encoding("gpt2").recipe.table
    recipe = Recipe("x", ("a", "é"), {"é": 3}, ranks=table, normalize=True, marks=True, strips=True)
    for name, value in fields.items():
        object.__setattr__(recipe, name, tuple(value) if name == "added" else value)
    assert same(recipe, from_recipe_file(to_recipe_file(recipe), None, "x"))


def test_a_damaged_file_of_a_recipe_is_refused(file):
    content = to_recipe_file(Encoding.from_file(file).recipe)
    for at in (0, 30, 200, len(content) // 2, len(content) - 1):
        damaged = bytearray(content)
        damaged[at] ^= 1
        with pytest.raises(BadVocabulary, match=r"format|checksum"):
            from_recipe_file(bytes(damaged), None, "x")
    for size in (0, 10, len(MAGIC) + 13, len(content) - 5):
        with pytest.raises(BadVocabulary):
            from_recipe_file(content[:size], None, "x")


def test_a_crafted_file_of_a_recipe_is_refused(file):
    recipe = Encoding.from_file(file).recipe
    assert recipe.merge_list is not None
    merges = recipe.merge_list.merges.copy()
    merges[3, 0] = 1 << 19
    wrong = [
        {"merge_list": MergeList(recipe.table, merges, False)},
        {"special_tokens": {"x": -1}},
        {"special_tokens": {"x": 1 << 20}},
        {"others": {b"x": 1 << 21}},
        {"missing": "else"},
        {"space_before": 6},
        {"patterns": ()},
    ]
    for fields in wrong:
        values = [fields.get(name, getattr(recipe, name)) for name in Recipe.__slots__]
        with pytest.raises(BadVocabulary, match="damaged"):
            from_recipe_file(to_recipe_file(Recipe(*values)), None, "x")


def test_a_large_file_is_read_once(file, entries, monkeypatch):
    made = Encoding.from_file(file)
    assert len(list(entries.iterdir())) == 1
    monkeypatch.setattr("fastprep.vocabulary.files.from_tokenizer_json", None)
    again = Encoding.from_file(file, name="other", missing="error")
    assert (again.name, again.recipe.missing, again.recipe.source) == ("other", "error", str(file))
    assert again.encode(TEXT) == made.encode(TEXT)
    assert again.rank_table_sha256 == made.rank_table_sha256


def test_small_files_are_not_kept(file, entries, monkeypatch):
    monkeypatch.setattr(cached, "MIN_FILE_BYTES", 1 << 30)
    Encoding.from_file(file)
    assert not entries.exists()


def test_the_cache_can_be_turned_off(file, entries, monkeypatch):
    Encoding.from_file(file)
    monkeypatch.setenv("FASTPREP_CACHE", "0")
    monkeypatch.setenv("XDG_CACHE_HOME", str(entries.parent / "user"))
    Encoding.from_file(file)
    assert not (entries.parent / "user").exists()
    monkeypatch.delenv("FASTPREP_CACHE")
    Encoding.from_file(file)
    if os.uname().sysname == "Linux":
        assert list((entries.parent / "user" / "fastprep" / "vocabularies").iterdir())


@pytest.mark.parametrize("content", [b"", b"\0" * 100, None])
def test_a_damaged_entry_is_made_again(file, entries, content):
    made = Encoding.from_file(file)
    (entry,) = entries.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(whole[:-3] + b"abc" if content is None else content)
    assert Encoding.from_file(file).encode(TEXT) == made.encode(TEXT)
    assert entry.read_bytes() == whole


def test_a_directory_that_cannot_be_written_is_no_error(file, tmp_path, entries):
    (tmp_path / "cache").write_bytes(b"a file in its place")
    assert Encoding.from_file(file).encode("a")
    assert (tmp_path / "cache").read_bytes() == b"a file in its place"


def test_the_entries_used_longest_ago_are_removed(entries, tmp_path, monkeypatch):
    paths = []
    for number, style in enumerate((qwen2_style, deepseek3_style)):
        path = tmp_path / f"{number}.json"
        style().save(str(path))
        paths.append(path)
    Encoding.from_file(paths[0])
    (first,) = entries.iterdir()
    os.utime(first, (1, 1))
    size = first.stat().st_size
    monkeypatch.setattr(cached, "MAX_CACHE_BYTES", size + 10)
    Encoding.from_file(paths[1])
    assert first not in list(entries.iterdir())
    assert len(list(entries.iterdir())) == 1


# -- pickles ---------------------------------------------------------------------------------------


def test_an_encoding_of_a_file_is_pickled_by_reference(file):
    made = Encoding.from_file(file, name="mine", missing="error")
    data = pickle.dumps(made)
    assert len(data) < 1_000
    again = pickle.loads(data)
    assert again.name == "mine"
    assert same(made.recipe, again.recipe)


def test_an_encoding_of_ranks_is_pickled_by_reference(tmp_path):
    path = tmp_path / "a.tiktoken"
    get_encoding("gpt2").save(path)
    made = Encoding.from_file(path, pat_str=r"\w+|\W", special_tokens={"<a>": 60_000})
    data = pickle.dumps(made)
    assert len(data) < 1_000
    again = pickle.loads(data)
    assert again.encode("ab<a>", allowed_special="all") == made.encode(
        "ab<a>", allowed_special="all"
    )
    assert again.pat_str == made.pat_str


@pytest.mark.parametrize("change", ["changed", "missing"])
def test_a_file_that_is_not_as_it_was(file, change):
    made = Encoding.from_file(file)
    by_reference = pickle.dumps(made)
    if change == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(BadVocabulary, match=f"{change} since"):
        pickle.loads(by_reference)
    whole = pickle.dumps(made)
    assert len(whole) > len(by_reference)
    assert pickle.loads(whole).encode(TEXT) == made.encode(TEXT)


def test_a_file_of_a_recipe_has_all_its_fields(tmp_path: Path) -> None:
    recipe = get_encoding("gpt2").recipe
    marked = recipe.replaced(roles={"bos": 50256}, template=((50256,), (1, 2)))
    read = from_recipe_file(to_recipe_file(marked), None, "an example")
    own = {"source", "content", "ranks", "others"}
    for name in set(Recipe.__slots__) - own:
        assert getattr(read, name) == getattr(marked, name), name
    assert set(_Header.__annotations__) >= set(Recipe.__slots__) - {
        "ranks",
        "merge_list",
        "source",
        "content",
    }
