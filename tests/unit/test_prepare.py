"""prepare: equal bytes for any division of the work, and clear errors."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from fastprep.checks.verification import verify
from fastprep.corpus.documents import Format, Span
from fastprep.corpus.plan import plan
from fastprep.encoding.encoding import Encoding
from fastprep.errors import InvalidInput, InvalidUtf8, StoreExists, UnknownEncoding
from fastprep.jobs.prepare import prepare
from fastprep.registry import get_encoding
from fastprep.store.reader import TokenStore
from fastprep.system.atomic import replacing
from fastprep.vocabulary.ranks import bundled

WORDS = ["tea", " the", "  spaces", "\n\n", "naïve", " 東京", "😀", " 1234", "'ll", "<|endoftext|>"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    rng = random.Random(5)
    directory = tmp_path_factory.mktemp("corpus")
    texts = ["".join(rng.choices(WORDS[:-1], k=rng.randint(1, 200))) for _ in range(60)]
    texts[7] = "".join(rng.choices(WORDS[:-1], k=8000))
    (directory / "a.txt").write_text("<|endoftext|>".join(texts[:30]), newline="")
    (directory / "b.jsonl").write_text(
        "".join(json.dumps({"text": text + WORDS[-1]}) + "\n" for text in texts)
    )
    (directory / "blank.txt").write_text(" \n")
    (directory / "c.txt").write_text(texts[3])
    return [directory / name for name in ("a.txt", "blank.txt", "b.jsonl", "c.txt")]


def contents(store: TokenStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(store.path.iterdir())}


def test_the_bytes_are_the_same_for_any_number_of_workers(
    corpus: list[Path], tmp_path: Path
) -> None:
    one = prepare(corpus, tmp_path / "one", workers=1, shard_bytes=5000)
    two = prepare(corpus, tmp_path / "two", workers=2, shard_bytes=5000)
    again = prepare(corpus, tmp_path / "two", workers=2, shard_bytes=5000, overwrite=True)
    four = prepare(corpus, tmp_path / "four", workers=4, shard_bytes=5000)
    assert len(one.shards) > 5
    assert contents(one) == contents(two) == contents(again) == contents(four)


def test_the_documents_are_the_same_for_any_size_of_shards_and_blocks(
    corpus: list[Path], tmp_path: Path
) -> None:
    whole = prepare(corpus, tmp_path / "whole")
    assert whole.num_documents == 91
    for number, (shard_bytes, block_bytes) in enumerate(
        [(300, 64), (4000, 100), (10**6, 1000), (50_000, 1 << 20)]
    ):
        store = prepare(
            corpus,
            tmp_path / f"{number}",
            workers=1,
            shard_bytes=shard_bytes,
            block_bytes=block_bytes,
        )
        np.testing.assert_array_equal(store[:], whole[:])
        np.testing.assert_array_equal(store.document_ends, whole.document_ends)
        assert verify(store).documents == 91


def test_a_special_token_inside_a_document_is_ordinary_text(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "tea<|endoftext|>"}))
    store = prepare(path, tmp_path / "store")
    enc = get_encoding("gpt2")
    assert store[:].tolist() == [*enc.encode_ordinary("tea<|endoftext|>"), 50256]


def test_documents_without_end_tokens_are_adjacent(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in ["One.", "", "Two."]))
    store = prepare(path, tmp_path / "store", eot="none")
    assert store.eot_token is None
    assert store[:].tolist() == [3198, 13, 7571, 13]
    assert store.document_ends.tolist() == [2, 2, 4]
    assert store.document(1).tolist() == []
    verify(store)


def test_a_vocabulary_over_65536_makes_uint32(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("One.")
    for eot, dtype in ((65534, np.uint16), (65535, np.uint16), (65536, np.uint32)):
        wide = Encoding(
            f"wide{eot}",
            mergeable_ranks=bundled("r50k_base").mergeable_ranks(),
            pat_str=get_encoding("gpt2")._pat_str,
            special_tokens={"<|endoftext|>": eot},
        )
        store = prepare(path, tmp_path / f"{eot}", encoding=wide)
        assert store.dtype == dtype
        assert store[:].tolist() == [3198, 13, eot]
        assert store.manifest.shards[0].max_id == eot
        verify(store)


def test_encoding_without_an_end_token_is_an_error_with_a_fix(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("One.")
    bare = Encoding(
        "bare",
        mergeable_ranks=bundled("r50k_base").mergeable_ranks(),
        pat_str=get_encoding("gpt2")._pat_str,
        special_tokens={},
    )
    with pytest.raises(InvalidInput, match="pass eot='none'"):
        prepare(path, tmp_path / "store", encoding=bare)
    assert len(prepare(path, tmp_path / "store", encoding=bare, eot="none")) == 2


def test_manifest_records_encoding_and_inputs(corpus: list[Path], tmp_path: Path) -> None:
    store = prepare(corpus[0], tmp_path / "store", shard_bytes=5000, workers=1)
    manifest = json.loads((store.path / "manifest.json").read_text())
    assert manifest["encoding"]["rank_table_sha256"].startswith("306cd27f")
    assert manifest["encoding"]["special_tokens"] == {"<|endoftext|>": 50256}
    assert manifest["unicode_version"] == "16.0.0"
    edges = [(s["start"], s["end"]) for shard in manifest["shards"] for s in shard["inputs"]]
    assert edges[0][0] == 0
    assert edges[-1][1] == corpus[0].stat().st_size
    assert all(first[1] == second[0] for first, second in pairwise(edges))
    assert b'\n  "tokens": ' in (store.path / "manifest.json").read_bytes()


def test_invalid_utf8_is_named_by_file_and_byte_at_any_position(tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    for prefix in (b"", b"one<|endoftext|> <|endoftext|>", b"word " * 900, b"\xef\xbb\xbf\n"):
        for broken in (b"\xff", b"a\xc3", b"\xed\xa0\x80<|endoftext|>tea"):
            path.write_bytes(prefix + broken)
            offset = len(prefix) + broken.index(bytes([max(broken)]))
            for block_bytes in (64, 1 << 20):
                with pytest.raises(InvalidUtf8, match=rf"bad\.txt, byte {offset}:") as info:
                    prepare(path, tmp_path / "store", block_bytes=block_bytes)
                assert info.value.offset == offset
                assert not (tmp_path / "store" / "manifest.json").exists()
                assert not list((tmp_path / "store").glob("*.tmp"))


def test_error_in_a_thread_keeps_its_type_and_message(corpus: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"word " * 100 + b"\xff")
    with pytest.raises(InvalidUtf8, match=r"bad\.txt, byte 500:") as info:
        prepare([corpus[0], bad], tmp_path / "store", workers=2, shard_bytes=1000)
    assert info.value.offset == 500


def test_nothing_to_encode_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "blank.txt"
    path.write_text("\n<|endoftext|>\n")
    with pytest.raises(InvalidInput, match=r"no documents found in .*blank\.txt"):
        prepare(path, tmp_path / "store")
    assert list((tmp_path / "store").iterdir()) == []
    with pytest.raises(InvalidInput, match="no inputs"):
        prepare([], tmp_path / "store")


@pytest.mark.parametrize("name", ["workers", "shard_bytes", "block_bytes"])
def test_sizes_below_one_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        InvalidInput, match=f"{name} is 0; it must be a whole number (of at least 1|from 1 to 4096)"
    ):
        prepare(tmp_path / "a.txt", tmp_path / "store", **{name: 0})


def test_an_unknown_encoding_is_refused_before_the_output_is_made(tmp_path: Path) -> None:
    with pytest.raises(UnknownEncoding):
        prepare(tmp_path / "a.txt", tmp_path / "store", encoding="gpt3")
    assert not (tmp_path / "store").exists()


def test_store_is_replaced_only_on_request(corpus: list[Path], tmp_path: Path) -> None:
    store = prepare(corpus[0], tmp_path / "store", shard_bytes=3000, workers=1)
    before = contents(store)
    with pytest.raises(StoreExists, match="pass overwrite=True"):
        prepare(corpus[3], tmp_path / "store")
    assert contents(store) == before
    small = prepare(corpus[3], tmp_path / "store", overwrite=True)
    assert small.num_documents == 1
    assert len(contents(small)) == 3


def test_a_bad_input_leaves_the_old_store_alone(corpus: list[Path], tmp_path: Path) -> None:
    store = prepare(corpus[3], tmp_path / "store")
    with pytest.raises(InvalidInput):
        prepare(tmp_path / "none.txt", tmp_path / "store", overwrite=True)
    verify(store.path)


@pytest.mark.parametrize("name", ["notes.txt", "shard-0.bin", "shard-00000.bin.bak", "sub/x"])
def test_a_directory_with_other_files_is_left_alone(
    corpus: list[Path], tmp_path: Path, name: str
) -> None:
    output = tmp_path / "store"
    for leftover in ("shard-00000.bin", name):
        (output / leftover).parent.mkdir(parents=True, exist_ok=True)
        (output / leftover).write_text("mine")
    with pytest.raises(StoreExists, match="not a token store's"):
        prepare(corpus[3], output, overwrite=True)
    assert (output / name).read_text() == (output / "shard-00000.bin").read_text() == "mine"


def test_leftover_shards_without_a_job_are_replaced(corpus: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "store"
    output.mkdir()
    for leftover in ("shard-00000.bin", "shard-00007.ends", "shard-00003.bin.tmp"):
        (output / leftover).write_text("leftover")
    assert sorted(contents(prepare(corpus[3], output))) == [
        "manifest.json",
        "shard-00000.bin",
        "shard-00000.ends",
    ]


def test_a_file_in_the_way_is_left_alone(corpus: list[Path], tmp_path: Path) -> None:
    (tmp_path / "store").write_text("mine")
    with pytest.raises(StoreExists, match="in the way"):
        prepare(corpus[3], tmp_path / "store", overwrite=True)
    assert (tmp_path / "store").read_text() == "mine"


def test_the_plan_covers_every_byte_once_in_order() -> None:
    rng = random.Random(3)
    for _ in range(300):
        sizes = [rng.choice([0, 1, 5, 50, 500]) for _ in range(rng.randint(1, 9))]
        names = [f"{index}{rng.choice(['.txt', '.jsonl'])}" for index in range(len(sizes))]
        spans = [Span(name, 0, size, size) for name, size in zip(names, sizes, strict=True)]
        shard_bytes = rng.randint(1, 60)
        form = Format(rng.choice([None, "|"]))
        tasks = plan(spans, form, shard_bytes=shard_bytes)
        covered: dict[str, int] = {}
        for span in (span for task in tasks for span in task):
            assert span.start == covered.get(span.path, 0)
            covered[span.path] = span.end
        assert covered == dict(zip(names, sizes, strict=True))
        assert [span.path for task in tasks for span in task] == sorted(
            (span.path for task in tasks for span in task), key=names.index
        )
        if form.separator is not None:
            assert all(sum(s.end - s.start for s in task) <= shard_bytes for task in tasks)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
