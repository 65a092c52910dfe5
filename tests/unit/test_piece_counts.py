"""Counts of pieces: exact in any memory, on any threads, and as values that are added and saved."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from texts import mixed_texts

import fastprep
from fastprep import PieceCounts, count_pieces
from fastprep.errors import BadVocabulary, DamagedInput, InvalidArgument, InvalidInput, InvalidUtf8
from fastprep.trainer.splitting import splitting_of
from fastprep_ext.bpe import split_pieces
from fastprep_ext.trainer import MAX_COUNT, RecordMerge, check_records, records_of


def expected(texts: list[str], pattern: str = "gpt2", *, lines: bool = False) -> dict[bytes, int]:
    """Count pieces one by one."""
    splitter = splitting_of(pattern).splitter
    counts: Counter[bytes] = Counter()
    for text in texts:
        data = text.encode()
        for part in data.splitlines(keepends=True) if lines else [data]:
            # Lines end at newlines alone.
            start = 0
            for end in split_pieces(part, splitter):
                counts[part[start:end]] += 1
                start = end
    return dict(counts)


def corpus(seed: int) -> list[str]:
    rnd = random.Random(seed)
    texts = [text.replace("\r", "\t").replace("\f", " ") for text in mixed_texts(seed, 60)]
    texts = ["".join(text.splitlines(keepends=True)[:50]) for text in texts]
    texts += ["word " * rnd.randrange(9) + "x" * rnd.randrange(40) + "\n\n  y" for _ in range(40)]
    return ["", *texts]


@pytest.mark.parametrize("pattern", ["gpt2", "cl100k_base", "o200k_base", "deepseek3", r"\w+|\W"])
def test_counts_are_those_of_splitting_each_document(pattern: str) -> None:
    texts = corpus(1)
    assert dict(count_pieces(iter(texts), pattern=pattern).items()) == expected(texts, pattern)


@pytest.mark.parametrize("pattern", ["gpt2", "o200k_base"])
def test_each_line_may_be_a_text(pattern: str) -> None:
    texts = ["one\ntwo  \n  three\n\n\n/x !\n/y", "no newline", "\n", " \n \n", "a!\n\nb\n"]
    found = count_pieces(iter(texts), pattern=pattern, documents="lines")
    assert dict(found.items()) == expected(texts, pattern, lines=True)
    assert found != count_pieces(iter(texts), pattern=pattern)


@pytest.mark.parametrize("pattern", ["gpt2", "cl100k_base", "starcoder"])
@pytest.mark.parametrize("seed", range(20))
def test_lines_of_random_texts(pattern: str, seed: int) -> None:
    rnd = random.Random(seed)
    atoms = ["\n", "\n", " ", "  ", "a", "word", "'s", "'", "5", "!", "\u3000", "é", "\t", "\n\n"]
    atoms += ["\r"] if seed % 4 == 0 else []
    texts = ["".join(rnd.choices(atoms, k=rnd.randrange(300))) for _ in range(30)]
    # Of a str, splitlines would also split at "\r".
    split = [line + "\n" for text in texts for line in text.split("\n")[:-1]]
    split += [text.split("\n")[-1] for text in texts]
    found = count_pieces(iter(texts), pattern=pattern, documents="lines")
    assert dict(found.items()) == expected(split, pattern)


def test_counts_do_not_depend_on_memory_threads_or_the_order_of_documents(tmp_path: Path) -> None:
    rnd = random.Random(3)
    texts = [
        " ".join(f"w{rnd.randrange(60_000):x}" * rnd.randrange(1, 4) for _ in range(90))
        for _ in range(900)
    ]
    for number in range(3):
        lines = [json.dumps({"text": text}) + "\n" for text in texts[number::3]]
        (tmp_path / f"{number}.jsonl").write_text("".join(lines))
    once = count_pieces(iter(texts), workers=1)
    once.save(tmp_path / "once.counts")
    rnd.shuffle(texts)
    files = sorted(tmp_path.glob("*.jsonl"))
    for number, (inputs, options) in enumerate(
        [
            (iter(texts), {"memory": "1MiB", "workers": 3}),
            (files, {"memory": "1MiB", "workers": 1}),
            (files[::-1], {"workers": 2}),
            (tmp_path, {"workers": 5, "format": "jsonl"}),
        ]
    ):
        other = count_pieces(inputs, **options, log=lambda event: None)  # type: ignore[arg-type]
        other.save(tmp_path / f"{number}.counts")
        assert other == once
        assert (tmp_path / f"{number}.counts").read_bytes() == (
            tmp_path / "once.counts"
        ).read_bytes()


def test_a_full_table_is_written_to_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr(
        "fastprep.trainer.counting.write_all",
        lambda file, block: written.append(file.write(block)),
    )
    texts = [
        " ".join(f"w{number}" for number in range(start, start + 3000))
        for start in range(0, 60_000, 3000)
    ]
    texts.append("long" * 200_000)
    found = count_pieces(iter(texts), memory="1MiB", workers=1)
    assert len(written) > 2
    assert dict(found.items()) == expected(texts)


def test_counts_are_added_and_weighted() -> None:
    one, two = {b"a": 1, b"b\0": 2, b"b": 7}, {b"b": 5, b"long piece of text": 1 << 40}
    a, b = PieceCounts.from_dict(one), PieceCounts.from_dict(two)
    assert dict((a + b).items()) == dict(Counter(one) + Counter(two))
    assert dict((3 * a + b * 2).items()) == {
        b"a": 3, b"b": 31, b"b\0": 6, b"long piece of text": 1 << 41,
    }  # fmt: skip
    assert a + b == b + a != a
    assert (a + b).total == sum((one | two).values()) + 7
    assert len(a + b) == 4
    assert (a + b).size == 22
    assert [piece for piece, _ in (a + b).items()] == sorted(one | two)


def test_counts_beyond_63_bits_are_refused() -> None:
    large = PieceCounts.from_dict({b"a": MAX_COUNT})
    with pytest.raises(OverflowError):
        large + large
    with pytest.raises(OverflowError):
        2 * large
    with pytest.raises(InvalidArgument):
        PieceCounts.from_dict({b"a": MAX_COUNT + 1})
    assert dict((1 * large).items()) == {b"a": MAX_COUNT}


@pytest.mark.parametrize("weight", [0, -1, 1.5, True, "2"])
def test_a_weight_is_a_whole_number_above_0(weight: Any) -> None:
    with pytest.raises(InvalidArgument, match="weight"):
        weight * PieceCounts.from_dict({b"a": 1})


@pytest.mark.parametrize("counts", [{"a": 1}, {b"": 1}, {b"a": 0}, {b"a": 1.0}, {b"a": -3}])
def test_a_mapping_has_pieces_and_whole_counts(counts: Any) -> None:
    with pytest.raises(InvalidArgument):
        PieceCounts.from_dict(counts)


def test_counts_of_other_patterns_or_lines_are_not_added() -> None:
    one = PieceCounts.from_dict({b"a": 1})
    for other in (
        PieceCounts.from_dict({b"a": 1}, pattern="o200k_base"),
        PieceCounts.from_dict({b"a": 1}, documents="lines"),
    ):
        assert one != other
        with pytest.raises(InvalidArgument, match="same way"):
            one + other
    assert one.__add__(3) is NotImplemented  # type: ignore[operator]


@pytest.mark.parametrize("pattern", ["gpt2", "deepseek3", r"\w+|\W"])
def test_saved_counts_are_loaded(tmp_path: Path, pattern: str) -> None:
    path = tmp_path / "a.counts"
    counts = count_pieces(iter(corpus(2)), pattern=pattern)
    counts.save(path)
    found = PieceCounts.load(path)
    assert found == counts
    assert (found.pattern, found.total, found.size) == (counts.pattern, counts.total, counts.size)
    assert found + counts == 2 * counts
    PieceCounts.from_dict({}).save(path)
    assert len(PieceCounts.load(path)) == 0


def test_a_damaged_file_of_counts_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.counts"
    count_pieces(iter(corpus(2))).save(path)
    content = path.read_bytes()
    for wrong in (
        b"",
        b"something else\n",
        content[:40],
        content[:-1],
        content + b"\0",
        content[:-5] + bytes([content[-5] ^ 1]) + content[-4:],
        content.replace(b'"pieces"', b'"piecez"', 1),
    ):
        path.write_bytes(wrong)
        with pytest.raises(DamagedInput, match=r"a\.counts"):
            PieceCounts.load(path)
    with pytest.raises(FileNotFoundError):
        PieceCounts.load(tmp_path / "none.counts")


def test_records_that_are_not_sorted_or_whole_are_found() -> None:
    records = bytes(records_of({b"a": 1, b"b": 200}))
    assert check_records(records) == (2, 2, 201)
    for wrong in (records[3:] + records[:3], records[:3] * 2, records[:-1], b"\0\x01", b"\x01\0a"):
        with pytest.raises(ValueError, match="damaged"):
            check_records(wrong)
        with pytest.raises(ValueError, match=r"damaged|start a record"):
            all_of(wrong)


def all_of(records: bytes) -> None:
    merge = RecordMerge([records], [1])
    while merge.next(10):
        pass


def test_records_are_merged_in_blocks_of_any_size() -> None:
    rnd = random.Random(4)
    parts = [
        {rnd.randbytes(rnd.randrange(1, 12)): rnd.randrange(1, 1000) for _ in range(50)}
        for _ in range(7)
    ]
    total: Counter[bytes] = Counter()
    for part in parts:
        total += Counter(part)
    for room in (1, 100, 100_000):
        merge = RecordMerge([records_of(part) for part in parts], [1] * 7)
        found = b""
        while block := merge.next(room):
            found += bytes(block)
        assert found == bytes(records_of(total))
        assert check_records(found) == (merge.pieces, merge.size, merge.total)


def test_inputs_are_those_of_prepare_or_an_iterable_of_texts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two<|endoftext|>three")
    (tmp_path / "b.jsonl").write_text('{"meta": {"body": "four"}}\n')
    assert dict(count_pieces([str(tmp_path / "a.txt")]).items()) == {
        b" two": 1, b"one": 1, b"three": 1,
    }  # fmt: skip
    found = count_pieces(tmp_path / "b.jsonl", field="meta.body")
    assert dict(found.items()) == {b"four": 1}
    for texts in (iter(["four"]), (text for text in ["four"]), iter([b"four"])):
        assert count_pieces(texts, field="meta.body") == found
    assert count_pieces([{"meta": {"body": "four"}}], field="meta.body") == found
    with pytest.raises(InvalidInput, match="no such file"):
        count_pieces([str(tmp_path / "none.txt")])


def test_bad_documents_raise_or_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"good<|endoftext|>b\xffd<|endoftext|>well")
    with pytest.raises(InvalidUtf8, match=r"a\.txt, byte 18"):
        count_pieces(tmp_path / "a.txt")
    with pytest.raises(InvalidUtf8, match=r"a\.txt, byte 18"):
        count_pieces(tmp_path / "a.txt", documents="lines")
    events: list[dict[str, object]] = []
    found = count_pieces(tmp_path / "a.txt", on_error="skip", log=events.append)
    assert dict(found.items()) == {b"good": 1, b"well": 1}
    assert [event["event"] for event in events].count("bad document") == 1
    found = count_pieces(tmp_path / "a.txt", on_error="replace")
    assert sum(count for _, count in found.items()) > 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pattern": "gpt5"}, "the names are gpt2"),
        ({"pattern": ""}, "pattern is ''"),
        ({"documents": "files"}, "whole, lines"),
        ({"workers": 0}, "workers"),
        ({"memory": "1kB"}, "memory"),
        ({"memory": "much"}, "memory"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        count_pieces(iter(["text"]), **options)


def test_a_pattern_that_does_not_match_is_an_error() -> None:
    with pytest.raises(BadVocabulary, match="matches nothing"):
        count_pieces(iter(["a b"]), pattern=r"\w+")
    with pytest.raises(BadVocabulary):
        count_pieces(iter(["a b"]), pattern=r"(\w+")


def test_the_names_are_public() -> None:
    assert fastprep.PieceCounts is PieceCounts
    assert repr(PieceCounts.from_dict({b"a": 2000})) == "<PieceCounts: 2,000 pieces, 1 distinct>"
