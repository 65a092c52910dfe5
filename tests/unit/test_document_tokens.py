"""The tokens before and after each document of a store: `bos`, `eos`, and the older `eot`."""

from __future__ import annotations

import json
import re
from array import array
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastprep
from fastprep import Encoding, TokenStore, errors, prepare, verify
from fastprep.cli.main import main
from fastprep.store.manifest import MANIFEST
from fastprep.vocabulary.patterns import R50K_PATTERN
from fastprep_ext.base import begin_rows

TOKENS = {"<s>": 256, "</s>": 257, "<|endoftext|>": 258}
TEXTS = ["One.", "", "naïve </s>", "x" * 300]
BOS, EOS, EOT = TOKENS.values()


def write_vocabulary(folder: Path, special_tokens: dict[str, int] = TOKENS, **config: Any) -> Path:
    folder.mkdir(exist_ok=True)
    ranks = {bytes([byte]): byte for byte in range(256)}
    Encoding(
        "bytes", pat_str=R50K_PATTERN, mergeable_ranks=ranks, special_tokens=special_tokens
    ).save(folder / "tokenizer.json")
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder / "tokenizer.json"


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    """A vocabulary of single bytes whose configuration names its tokens."""
    return write_vocabulary(
        tmp_path / "vocabulary", bos_token="<s>", eos_token="</s>", add_bos_token=True
    )


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    return path


def documents(store: TokenStore) -> list[list[int]]:
    return [ids.tolist() for ids in store.documents()]


def expected(before: int | None, after: int | None) -> list[list[int]]:
    sides = [[] if token is None else [token] for token in (before, after)]
    return [[*sides[0], *text.encode(), *sides[1]] for text in TEXTS]


CALLS: list[tuple[dict[str, Any], int | None, int | None]] = [
    ({}, None, EOT),
    ({"eos": True}, None, EOS),
    ({"eos": "</s>"}, None, EOS),
    ({"eos": np.int64(EOS)}, None, EOS),
    ({"eos": False}, None, None),
    ({"bos": True}, BOS, EOT),
    ({"bos": False, "eos": True}, None, EOS),
    ({"bos": True, "eos": True}, BOS, EOS),
    ({"bos": "<s>", "eos": BOS}, BOS, BOS),
    ({"bos": True, "eos": False}, BOS, None),
    ({"bos": True, "eot": "none"}, BOS, None),
    ({"bos": "<s>", "eot_token": "</s>"}, BOS, EOS),
    ({"eot": "prepend"}, EOT, None),
]


@pytest.mark.parametrize(("settings", "before", "after"), CALLS)
def test_each_document_has_the_tokens_that_are_asked_for(
    vocabulary, corpus, tmp_path, settings, before, after
):
    store = prepare(corpus, tmp_path / "store", encoding=vocabulary, progress=False, **settings)
    assert documents(store) == expected(before, after)
    assert store.bos_token == before
    assert store.eot_token == (before if after is None else after)
    assert [store.text(number) for number in range(4)] == TEXTS
    assert TokenStore(store.path).bos_token == before
    verify(store)
    again = prepare(corpus, tmp_path / "store", encoding=vocabulary, progress=False, **settings)
    assert again.fingerprint == store.fingerprint


def test_one_token_is_one_setting(vocabulary, corpus, tmp_path):
    """`eos` is the end token, and `bos` alone the one of ``eot="prepend"``: the same bytes."""
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"eos": "</s>"}, {"eot_token": "</s>"}),
        ({"eos": False}, {"eot": "none"}),
        ({"bos": "<s>", "eos": False}, {"eot": "prepend", "eot_token": "<s>"}),
    ]
    for number, pair in enumerate(pairs):
        stores = [
            prepare(
                corpus, tmp_path / f"{number}{side}", encoding=vocabulary, progress=False, **each
            )
            for side, each in enumerate(pair)
        ]
        contents = [
            {path.name: path.read_bytes() for path in store.path.iterdir()} for store in stores
        ]
        assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"eos": True, "eot_token": "</s>"}, "cannot be used with eot or eot_token"),
        ({"eos": True, "eot": "none"}, "cannot be used with eot or eot_token"),
        ({"bos": True, "eot": "prepend"}, "cannot be used with eot='prepend'"),
        ({"bos": "<x>"}, "bos is '<x>'.*no such special token.*<s>"),
        ({"eos": 97}, "eos is 97.*no such special token"),  # text may have it
        ({"eos": 9999}, "eos is 9999"),
        ({"bos": 1.5}, "bos is 1.5"),
        ({"eos": -1}, "eos is -1"),
    ],
)
def test_wrong_tokens_are_refused_before_any_work(vocabulary, corpus, tmp_path, settings, message):
    with pytest.raises(errors.InvalidArgument, match=message):
        prepare(corpus, tmp_path / "store", encoding=vocabulary, progress=False, **settings)
    assert not (tmp_path / "store").exists()


def test_an_encoding_that_names_no_token_says_so(corpus, tmp_path):
    with pytest.raises(errors.InvalidArgument, match="do not say which token is its bos"):
        prepare(corpus, tmp_path / "store", bos=True, progress=False)
    store = prepare(corpus, tmp_path / "store", eos=True, progress=False)
    assert store.eot_token == 50256


def test_the_end_token_is_the_own_one_without_endoftext(corpus, tmp_path):
    own = {"<s>": 256, "</s>": 257}
    path = write_vocabulary(tmp_path / "vocabulary", own, eos_token="</s>")
    store = prepare(corpus, tmp_path / "store", encoding=path, progress=False)
    assert store.eot_token == 257
    (path.parent / "tokenizer_config.json").unlink()
    with pytest.raises(errors.InvalidArgument, match=re.escape("has no <|endoftext|>")):
        prepare(corpus, tmp_path / "other", encoding=path, progress=False)


def test_a_store_tells_the_tokens_of_its_encoding_alone(vocabulary, corpus, tmp_path):
    made = Encoding.from_file(vocabulary)
    store = prepare(corpus, tmp_path / "store", encoding=made, progress=False, bos=True, eos=True)
    vocabulary.unlink()
    found: Any = TokenStore(store.path).encoding
    assert (found.bos_token, found.eos_token, found.pad_token) == ("<s>", "</s>", None)
    assert found.encode("a", add_special_tokens=True) == [256, 97]
    ranks = {bytes([byte]): byte for byte in range(256)}
    plain = Encoding("ranks", pat_str=R50K_PATTERN, mergeable_ranks=ranks, special_tokens=TOKENS)
    configured = Encoding._from_recipe(
        plain.recipe.replaced(roles={"bos": 257}, template=((257,), (256,)))
    )
    store = prepare(corpus, tmp_path / "ranks", encoding=configured, progress=False)
    found = TokenStore(store.path).encoding
    assert found.bos_token == "</s>"
    assert found.encode("a", add_special_tokens=True) == [257, 97, 256]
    store = prepare(corpus, tmp_path / "plain", encoding=plain, progress=False)
    assert b"configuration" not in (store.path / MANIFEST).read_bytes()


def test_what_determines_the_bytes_is_compared(vocabulary, corpus, tmp_path):
    options: Any = {"encoding": vocabulary, "progress": False}
    prepare(corpus, tmp_path / "store", **options, bos=True, eos=True)
    with pytest.raises(errors.StoreExists, match="bos was 256 and is None"):
        prepare(corpus, tmp_path / "store", **options, eos=True)
    with pytest.raises(errors.OtherJob, match="bos was 256 and is 258"):
        prepare(corpus, tmp_path / "store", **options, bos=258, eos=True, append=True)
    other = tmp_path / "more.jsonl"
    other.write_text('{"text": "Two."}\n')
    both = [corpus, other]
    store = prepare(both, tmp_path / "store", **options, bos=True, eos=True, append=True)
    assert documents(store) == [*expected(BOS, EOS), [BOS, *b"Two.", EOS]]
    verify(store)


def test_bytes_do_not_depend_on_blocks_and_workers(vocabulary, tmp_path):
    """Long documents are cut, and continue in another block without a second token."""
    path = tmp_path / "long.txt"
    text = "some words, and more of them. " * 9000
    path.write_text("a<|endoftext|>" + text + "<|endoftext|>b")
    found = []
    for number, (block, workers) in enumerate([(1 << 30, 1), (5000, 1), (5000, 3)]):
        store = prepare(
            path,
            tmp_path / str(number),
            encoding=vocabulary,
            bos=True,
            eos=True,
            block_bytes=block,
            workers=workers,
            progress=False,
        )
        found.append({each.name: each.read_bytes() for each in store.path.iterdir()})
    assert found[0] == found[1] == found[2]
    assert documents(store) == [[BOS, *part.encode(), EOS] for part in ("a", text, "b")]


@pytest.mark.parametrize(
    "settings",
    [{"shuffle": 3}, {"validation_documents": 2}, {"validation": 0.5}, {"on_error": "skip"}],
)
def test_every_way_of_writing_has_both_tokens(vocabulary, corpus, tmp_path, settings):
    options: Any = {"encoding": vocabulary, "progress": False, "bos": True, "eos": True}
    prepare(corpus, tmp_path / "store", **options, **settings)
    parts = [path.parent for path in (tmp_path / "store").rglob(MANIFEST)]
    stores = [TokenStore(part) for part in parts]
    assert sorted(chain(*map(documents, stores))) == sorted(expected(BOS, EOS))
    for store in stores:
        verify(store)


def test_documents_of_ids_get_the_tokens_that_they_lack(vocabulary, tmp_path):
    path = tmp_path / "ids.jsonl"
    rows = [[97], [BOS, 97], [97, EOS], [BOS, 97, EOS], [], [BOS], [EOS], [BOS, EOS]]
    path.write_text("".join(json.dumps({"ids": row}) + "\n" for row in rows))
    options: Any = {"encoding": vocabulary, "field": "ids", "progress": False}
    store = prepare(path, tmp_path / "store", **options, bos=True, eos=True)
    assert documents(store) == [[BOS, 97, EOS]] * 4 + [[BOS, EOS]] * 4
    same = prepare(path, tmp_path / "same", **options, bos=BOS, eos=BOS, on_error="skip")
    assert documents(same)[:2] == [[BOS, 97, BOS]] * 2
    path.write_text(json.dumps({"ids": [97, BOS, 98]}) + "\n")
    with pytest.raises(errors.InvalidInput, match="id 1 is the end token 256, inside"):
        prepare(path, tmp_path / "bad", **options, bos=True, eos=True)


@pytest.mark.parametrize("settings", [{"bos": True, "eos": True}, {"bos": BOS, "eos": BOS}])
@pytest.mark.parametrize(
    ("place", "fault"), [(0, "does not start"), (5, "end with"), (3, "inside")]
)
def test_verify_finds_a_token_that_is_not_in_its_place(
    vocabulary, corpus, tmp_path, settings, place, fault
):
    import zlib

    store = prepare(corpus, tmp_path / "store", encoding=vocabulary, progress=False, **settings)
    shard = store.path / "shard-00000.bin"
    ids = np.fromfile(shard, "<u2")
    ids[place] = BOS if fault == "inside" else 98
    shard.write_bytes(ids.tobytes())
    manifest = json.loads((store.path / MANIFEST).read_text())
    manifest["shards"][0]["bin_crc32"] = [zlib.crc32(ids.tobytes())]
    (store.path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(errors.InvalidStore, match=fault):
        verify(store.path)


def test_verify_against_another_library_knows_both_tokens(corpus, tmp_path):
    pytest.importorskip("tiktoken")
    token = "<|endoftext|>"
    for number, settings in enumerate([{"bos": token}, {"bos": token, "eos": False}]):
        options: Any = {"progress": False, **settings}
        store = prepare(corpus, tmp_path / str(number), **options)
        verify(store, against="tiktoken")


@pytest.mark.parametrize(
    "change",
    [{"begin_token": 99999}, {"end_token": None}, {"end_token_first": True}],
)
def test_a_manifest_that_contradicts_itself_is_refused(vocabulary, corpus, tmp_path, change):
    store = prepare(
        corpus, tmp_path / "store", encoding=vocabulary, progress=False, bos=True, eos=True
    )
    manifest = json.loads((store.path / MANIFEST).read_text()) | change
    (store.path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(errors.InvalidStore):
        TokenStore(store.path)


def test_the_command_has_the_same_settings(vocabulary, corpus, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = ["prepare", str(corpus), "--encoding-file", str(vocabulary), "--quiet", "-o"]
    cases: list[tuple[list[str], int | None, int | None]] = [
        (["--bos", "--eos"], BOS, EOS),
        (["--bos=<s>", "--eos", "256"], BOS, BOS),
        (["--bos", "--eot", "none"], BOS, None),
    ]
    for number, (words, before, after) in enumerate(cases):
        assert main([*base, f"store{number}", *words]) == 0
        assert documents(TokenStore(f"store{number}")) == expected(before, after)
    capsys.readouterr()
    assert main(["show", "store0"]) == 0
    assert capsys.readouterr().out == TEXTS[0]
    assert main(["info", "store0"]) == 0
    assert "begin token        256" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["prepare", "--bos", str(corpus), "-o", "other"])
    assert "INPUT is missing; write INPUT before --bos" in capsys.readouterr().err


def test_tokens_are_put_before_rows_in_place():
    random = np.random.default_rng(1)
    for kind in "HI":
        for first in (0, 1):
            sizes = random.integers(0, 4, 20)
            rows = [random.integers(0, 9, size).tolist() for size in sizes]
            ids = array(kind, [*(id for row in rows for id in row), *[0] * 20])
            ends = array("Q", np.cumsum(sizes).tolist())
            begin_rows(ids, ends, 77, first)
            framed = [row if number < first else [77, *row] for number, row in enumerate(rows)]
            assert ids[: ends[-1]].tolist() == [*chain(*framed)]
            assert ends.tolist() == np.cumsum(list(map(len, framed))).tolist()
    empty = array("Q")
    begin_rows(array("H"), empty, 7)
    assert not empty


@pytest.mark.parametrize(
    ("ids", "ends", "token", "first"),
    [
        ("H", [3, 4], 9, 0),
        ("H", [3, 2], 9, 0),
        ("H", [9], 9, 0),
        ("H", [1], 1 << 16, 0),
        ("I", [1], 9, 2),
        ("I", [1], 9, -1),
    ],
)
def test_rows_without_room_are_refused(ids, ends, token, first):
    with pytest.raises(ValueError, match=r"room|row"):
        begin_rows(array(ids, [0] * 5), array("Q", ends), token, first)


def test_windows_see_both_tokens(vocabulary, corpus, tmp_path):
    store = prepare(
        corpus, tmp_path / "store", encoding=vocabulary, progress=False, bos=True, eos=True
    )
    ids = [*chain(*expected(BOS, EOS))]
    assert fastprep.sliding_windows(store, 8, 8)[1].tolist() == ids[8:17]
