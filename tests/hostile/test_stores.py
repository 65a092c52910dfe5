"""Damaged stores are refused when opened, or else found out by verify; nothing crashes."""

from __future__ import annotations

import importlib
import json
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pytest

from fastprep.checks.verification import verify
from fastprep.errors import InvalidInput, InvalidStore
from fastprep.exchange.imports import import_tokens
from fastprep.jobs.prepare import prepare
from fastprep.store.checksums import crc32
from fastprep.store.manifest import BlockChecksum
from fastprep.store.reader import TokenStore

TEXTS = [f"Document {number} has {'some ' * number}words." for number in range(30)]
Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("original")
    (directory / "corpus.txt").write_text("<|endoftext|>".join(TEXTS))
    return prepare(directory / "corpus.txt", directory / "store", shard_bytes=1500, workers=1).path


@pytest.fixture
def store(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "store"))


def change(store: Path, mutate: Callable[[Manifest], object]) -> None:
    path = store / "manifest.json"
    manifest = json.loads(path.read_text())
    mutate(manifest)
    path.write_text(json.dumps(manifest))


def rewrite(store: Path, kind: str, mutate: Callable[[np.ndarray], object]) -> None:
    """Change shard 0 and put the right checksum beside it, so that only sense is left to check."""
    path = store / f"shard-00000.{kind}"
    array = np.fromfile(path, "<u2" if kind == "bin" else "<u8")
    mutate(array)
    array.tofile(path)
    checksum = BlockChecksum()
    checksum.update(array.tobytes())
    change(store, lambda m: m["shards"][0].update({f"{kind}_crc32": checksum.values()}))


def put(index: int, value: int) -> Callable[[np.ndarray], None]:
    def mutate(array: np.ndarray) -> None:
        array[index] = value

    return mutate


def test_the_untouched_store_is_good(original: Path) -> None:
    found = verify(original, against="tiktoken")
    assert found.documents == found.compared == len(TEXTS)
    assert verify(original, against="tiktoken", sample=7).compared == 7
    with pytest.raises(InvalidInput, match="sample goes with against"):
        verify(original, sample=7)


@pytest.mark.parametrize("name", ["shard-00000.bin", "shard-00001.ends"])
def test_a_missing_short_long_or_strange_shard_is_refused_at_once(store: Path, name: str) -> None:
    path = store / name
    content = path.read_bytes()
    for size in [*range(0, len(content), 97), len(content) - 1, len(content) + 1]:
        path.write_bytes((content + b"\0")[:size])
        with pytest.raises(InvalidStore, match=f"{name}: {size} bytes, but the manifest says"):
            TokenStore(store)
    path.unlink()
    with pytest.raises(InvalidStore, match=f"{name}: missing, though the manifest lists it"):
        TokenStore(store)
    os.mkfifo(path)
    with pytest.raises(InvalidStore, match=f"{name}: not a regular file"):
        TokenStore(store)


def test_a_shard_that_shrinks_after_opening_is_refused_when_first_used(store: Path) -> None:
    opened = TokenStore(store)
    (store / "shard-00000.bin").write_bytes(b"")
    with pytest.raises(InvalidStore, match="0 bytes"):
        opened[:5]


def test_a_manifest_cut_short_anywhere_is_refused(store: Path) -> None:
    path = store / "manifest.json"
    content = path.read_bytes().rstrip()
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        with pytest.raises(InvalidStore, match=r"manifest\.json: not a manifest, or a damaged one"):
            TokenStore(store)


def test_any_flipped_bit_is_refused_or_found_by_verify(store: Path) -> None:
    rng = random.Random(11)
    names = sorted(path.name for path in store.iterdir())
    surprises = []
    for _ in range(1500):
        path = store / rng.choice(names)
        content = path.read_bytes()
        bad = bytearray(content)
        bit = rng.randrange(8 * len(bad))
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        try:
            verify(store)
            # A path or the name of the field may change without contradicting anything.
            if path.name != "manifest.json":
                surprises.append((path.name, bit))
        except InvalidStore as error:
            if str(store) not in str(error):
                surprises.append((path.name, bit))
        path.write_bytes(content)
    assert not surprises
    verify(store)


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork")
def test_damage_of_every_kind_is_found_out_or_harmless() -> None:
    pytest.importorskip("torch")
    stores = importlib.import_module("checks.stores")
    for found in stores.hostile_stores(20_479, 120):
        assert found.cases >= 12
        assert not found.differing, found


def test_a_mutated_manifest_never_crashes(store: Path) -> None:
    rng = random.Random(12)
    path = store / "manifest.json"
    content = path.read_bytes()
    words = [b"0", b"-1", b"1e9", b"9223372036854775808", b"null", b"[]", b"{}", b'"', b",", b"NaN"]
    for _ in range(3000):
        bad = bytearray(content)
        for _ in range(rng.randint(1, 3)):
            start = rng.randrange(len(bad))
            bad[start : start + rng.randint(0, 12)] = rng.choice([*words, rng.randbytes(2)])
        path.write_bytes(bad)
        try:
            opened = TokenStore(store)
            opened[:]
            assert len(opened.document_ends) == opened.num_documents
        except InvalidStore:
            pass


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"version": 4}, "format version 4, and this fastprep reads 1 and 2 and 3"),
        ({"format": "zip"}, "its format is 'zip'"),
        ({"tokens": 1}, "tokens is 1, but the shards' add up to"),
        ({"documents": 10**18}, "documents is 10{18}, but"),
        ({"tokens": -1}, r"Expected `int` >= 0 - at `\$\.tokens`"),
        ({"tokens": 2**64}, "out of range|Expected `int`"),
        ({"dtype": "uint32"}, "dtype is uint32 for a vocabulary of 50257 ids"),
        ({"dtype": "float32"}, "Invalid enum value 'float32'"),
        ({"dtype": "|O"}, "Invalid enum value"),
        ({"n_vocab": 50256}, "end_token 50256 is outside the vocabulary of 50256"),
        ({"n_vocab": 0}, "Expected `int` >= 1"),
        ({"end_token": None, "n_vocab": 50}, r"shards\[0\]: max_id 50256 is outside"),
        ({"surprise": 1}, "unknown field `surprise`"),
        ({"shards": {}}, "Expected `array`, got `object`"),
    ],
)
def test_a_manifest_that_makes_no_sense_says_where(
    store: Path, fields: Manifest, message: str
) -> None:
    change(store, lambda m: m.update(fields))
    with pytest.raises(InvalidStore, match=rf"manifest\.json: .*({message})"):
        TokenStore(store)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_id": None}, "max_id is None with"),
        ({"bin_crc32": []}, "0 checksums in bin_crc32 for 1 blocks"),
        ({"ends_crc32": [1, 2]}, "2 checksums in ends_crc32 for 1 blocks"),
        ({"ends_crc32": [2**32]}, "Expected `int` <= 4294967295"),
        ({"path": "/etc/passwd"}, "unknown field `path`"),
        ({"inputs": [{"path": "a", "start": 5, "end": 2, "size": 9}]}, "bytes 5 to 2"),
    ],
)
def test_a_shard_record_that_makes_no_sense_says_where(
    store: Path, fields: Manifest, message: str
) -> None:
    change(store, lambda m: m["shards"][0].update(fields))
    with pytest.raises(InvalidStore, match=rf"manifest\.json: .*{message}"):
        TokenStore(store)


def test_numbers_that_overflow_when_multiplied_are_refused(store: Path) -> None:
    for tokens in (2**62, 2**61, 2**33):
        change(store, lambda m, n=tokens: m["shards"][0].update(tokens=n))
        change(store, lambda m: m.update(tokens=sum(s["tokens"] for s in m["shards"])))
        with pytest.raises(InvalidStore):
            TokenStore(store)


@pytest.mark.parametrize(
    ("kind", "index", "value", "message"),
    [
        ("bin", 3, 50257, r"shard-00000\.bin: token 3 is 50257, outside the vocabulary of 50257"),
        ("bin", 3, 50256, r"shard-00000\.bin: the end token 50256 is inside a document"),
        ("bin", -1, 13, r"shard-00000\.bin: document \d+ of the shard does not end with the end"),
        ("ends", 2, 0, r"shard-00000\.ends: document 2 ends at token 0, too early"),
        ("ends", 0, 0, r"shard-00000\.ends: document 0 ends at token 0, too early"),
        ("ends", 1, 2**64 - 1, r"shard-00000\.ends: document 2 ends at token \d+, too early"),
        ("ends", -1, 10**6, r"shard-00000\.ends: the last document ends at token 1000000, but"),
        ("ends", 3, 35, r"shard-00000\.bin: document 3 of the shard does not end with the end"),
    ],
)
def test_wrong_ids_and_ends_under_right_checksums_are_found(
    store: Path, kind: str, index: int, value: int, message: str
) -> None:
    rewrite(store, kind, put(index, value))
    with pytest.raises(InvalidStore, match=message):
        verify(store)


@pytest.mark.parametrize("eot", ["append", "prepend"])
def test_an_end_token_too_many_or_too_few_is_found_wherever_it_is(
    original: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    eot: Literal["append", "prepend"],
) -> None:
    monkeypatch.setattr("fastprep.checks.verification._CHUNK_BYTES", 64)  # of 32 ids, not 131,072
    corpus = original.parent / "corpus.txt"
    store = prepare(corpus, tmp_path / "store", shard_bytes=1500, workers=1, eot=eot).path
    verify(store)
    ids = np.fromfile(store / "shard-00000.bin", "<u2")
    for place in range(0, len(ids), 5):
        rewrite(store, "bin", put(place, 13 if ids[place] == 50256 else 50256))
        with pytest.raises(InvalidStore, match=r"shard-00000\.bin: .*end token 50256"):
            verify(store)
        rewrite(store, "bin", put(place, ids[place]))
    for place in np.flatnonzero(ids == 50256):
        rewrite(store, "bin", put(place, 13))
        with pytest.raises(
            InvalidStore, match=r"shard-00000\.bin: document \d+ of the shard does not"
        ):
            verify(store)
        rewrite(store, "bin", put(place, 50256))
    verify(store)


def test_the_first_of_several_faults_is_told(store: Path) -> None:
    for name in ("shard-00001.ends", "shard-00001.bin", "shard-00002.bin"):
        content = bytearray((store / name).read_bytes())
        content[0] ^= 255
        (store / name).write_bytes(content)
    for _ in range(5):
        with pytest.raises(InvalidStore, match=r"shard-00001\.ends: bytes 0 to \d+ are damaged"):
            verify(store)


def test_a_file_that_changes_while_it_is_read_is_refused(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def once(buffer: bytes, value: int = 0) -> int:
        monkeypatch.setattr("fastprep.checks.verification.crc32", crc32)
        return crc32(buffer, value) ^ 1

    opened = TokenStore(store)
    # The checksum of the ends is right.
    monkeypatch.setattr("fastprep.checks.verification._Shard.check_ends", lambda shard: -1)
    monkeypatch.setattr("fastprep.checks.verification.crc32", once)
    with pytest.raises(InvalidStore, match=r"two reads of bytes 0 to \d+ differ"):
        verify(opened)


def test_a_wrong_largest_id_is_found(store: Path) -> None:
    change(store, lambda m: m["shards"][0].update(max_id=7))
    with pytest.raises(InvalidStore, match="its largest id is 50256, but the manifest says 7"):
        verify(store)


def test_damage_is_named_by_file_and_bytes(store: Path) -> None:
    content = bytearray((store / "shard-00001.bin").read_bytes())
    content[5] ^= 4
    (store / "shard-00001.bin").write_bytes(content)
    with pytest.raises(InvalidStore, match=r"shard-00001\.bin: bytes 0 to \d+ are damaged: their"):
        verify(store)


def test_ids_that_tiktoken_would_not_give_are_found(store: Path) -> None:
    rewrite(store, "bin", put(4, 1234))
    verify(store)
    with pytest.raises(InvalidStore, match="document 0 differs from tiktoken's at its token 4"):
        verify(store, against="tiktoken")


def test_comparing_needs_the_very_inputs(store: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    original = Path(
        json.loads((store / "manifest.json").read_text())["shards"][0]["inputs"][0]["path"]
    )
    for content, kind, message in [
        (None, InvalidInput, "no such file"),
        (original.read_bytes() + b" ", InvalidInput, "its size is no longer"),
        (original.read_bytes().replace(b"some", b"rome"), InvalidStore, "differs from tiktoken's"),
        (
            original.read_bytes().replace(b"<|endoftext|>", b"<|ENDOFTEXT|>"),
            InvalidStore,
            "differ|fewer",
        ),
        (
            original.read_bytes().replace(b"some some some", b"<|endoftext|>."),
            InvalidStore,
            "differ|more",
        ),
    ]:
        if content is not None:
            corpus.write_bytes(content)

        def move(manifest: Manifest) -> None:
            for shard in manifest["shards"]:
                for span in shard["inputs"]:
                    span["path"] = str(corpus)

        change(store, move)
        with pytest.raises(kind, match=message):
            verify(store, against="tiktoken")


def test_what_there_is_nothing_to_compare_with_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("One.")
    monkeypatch.chdir(tmp_path)
    made = prepare("a.txt", tmp_path / "made", progress=False)
    monkeypatch.chdir("/")
    with pytest.raises(
        InvalidInput, match=r"a\.txt: no such file.*run in the directory it was named"
    ):
        verify(made, against="tiktoken")
    ids = tmp_path / "made" / "shard-00000.bin"
    store = import_tokens(ids, tmp_path / "imported", format="nanogpt", encoding="gpt2")
    with pytest.raises(InvalidInput, match=r"00000\.bin: the store was imported from these ids"):
        verify(store, against="tiktoken")
    table = pytest.importorskip("pyarrow").table({"text": ["One."]})
    store = prepare(table, tmp_path / "from-memory", progress=False)
    with pytest.raises(InvalidInput, match=r"<table 1.*>: it was in the memory of the process"):
        verify(store, against="tiktoken")


def test_another_rank_table_under_the_same_name_is_found(store: Path) -> None:
    change(store, lambda m: m["encoding"].update(rank_table_sha256="0" * 64))
    with pytest.raises(InvalidStore, match="another rank table under the name 'gpt2'"):
        verify(store, against="tiktoken")


def test_a_manifest_nested_without_end_is_refused(store: Path) -> None:
    for content in (b"[" * 10**6, b'{"format":' * 10**5, b"", b"\xff", b'{"format":"\xff"}'):
        (store / "manifest.json").write_bytes(content)
        with pytest.raises(InvalidStore, match="not a manifest"):
            TokenStore(store)


def test_a_manifest_that_is_no_file_is_refused(store: Path) -> None:
    (store / "manifest.json").unlink()
    (store / "manifest.json").mkdir()
    with pytest.raises(InvalidStore, match="not a regular file"):
        TokenStore(store)


def test_the_manifest_decodes_to_itself(store: Path) -> None:
    content = (store / "manifest.json").read_bytes()
    opened = TokenStore(store)
    assert msgspec.json.format(msgspec.json.encode(opened.manifest), indent=2) + b"\n" == content
