"""A damaged rank file is refused by name and line."""

from __future__ import annotations

import base64
import hashlib
import random
from pathlib import Path

import numpy as np
import pytest
from reference.steps import merge

from fastprep.errors import BadVocabulary
from fastprep.vocabulary import ranks as vocabulary
from fastprep_ext.bpe import PATTERNS, Encoder


def test_the_bundled_file_is_the_published_one():
    for name, digest in vocabulary.SHA256.items():
        data = (Path(vocabulary.BUNDLED) / f"{name}.tiktoken").read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest


@pytest.mark.parametrize("name", vocabulary.SHA256)
def test_the_bundled_halves_are_those_that_merging_finds_and_make_the_published_table(name):
    path = Path(vocabulary.BUNDLED) / f"{name}.tiktoken"
    table = vocabulary.parse(path.read_bytes(), str(path))
    assert table.lefts is None
    bundled = vocabulary.bundled(name)
    assert bundled.lefts == vocabulary.lefts_of(table)
    assert path.with_suffix(".halves").read_bytes() == vocabulary.halves_of(table)
    assert bundled.blob == table.blob
    assert bundled.ends_buffer == table.ends_buffer
    assert bundled.ids_buffer == table.ids_buffer
    assert bundled.sha256 == table.sha256


def test_left_parts_must_be_tokens():
    tokens = [*BYTES, b"ab", b"abc"]
    lefts = [0] * 256 + [1, 2]
    blob, ends, ids, pattern = table(tokens)
    known = Encoder(blob, ends, ids, pattern, lefts=bytes(lefts))
    assert known.merge_piece(b"abcab", "few") == [257, 256]
    for wrong in ([1, *lefts[1:]], [*lefts[:256], 0, 2], [*lefts[:256], 2, 2], [*lefts[:257], 1]):
        with pytest.raises(BadVocabulary, match="do not spell"):
            Encoder(blob, ends, ids, pattern, lefts=bytes(wrong))
    with pytest.raises(ValueError, match="lefts has 3 lengths for 258 tokens"):
        Encoder(blob, ends, ids, pattern, lefts=b"abc")


def test_table_with_a_token_of_no_tokens_has_no_left_parts():
    with pytest.raises(BadVocabulary, match="not a merge of two tokens"):
        vocabulary.lefts_of(vocabulary.RankTable(*table([*BYTES, b"abc"])[:3], ""))


def test_a_table_reads_as_the_lines_say():
    data = (Path(vocabulary.BUNDLED) / "r50k_base.tiktoken").read_bytes()
    expected = {}
    for line in data.splitlines():
        token, rank = line.split()
        expected[base64.b64decode(token)] = int(rank)
    assert vocabulary.bundled("r50k_base").mergeable_ranks() == expected


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"YQ==\n", "line 1.*rank"),
        (b"YQ== 0\nYg== x\n", "line 2.*rank"),
        (b"YQ== 0\nY*== 1\n", "line 2.*base64"),
        (b"YQ= 0\n", "line 1.*base64"),
        (b"YR== 0\n", "line 1.*base64"),
        (b" 0\n", "line 1.*base64"),
        (b"YQ== 0 1\n", "line 1.*rank"),
        (b"YQ==  0\n", "line 1.*rank"),
        (b"YQ== 99999999999\n", "line 1.*rank"),
        (b"YQ== 1\nYg== 0\n", "increasing"),
        (b"YQ== 0\nYg== 0\n", "increasing"),
        (b"{}", "line 1"),
    ],
)
def test_a_damaged_table_is_refused_with_the_line(data, complaint):
    with pytest.raises(BadVocabulary, match=f"some file.*{complaint}"):
        vocabulary.parse(data, "some file")


def test_another_file_under_the_published_name_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(vocabulary, "BUNDLED", tmp_path)
    for content in (b"YQ== 0\n", b""):
        (tmp_path / "r50k_base.halves").write_bytes(content)
        with pytest.raises(BadVocabulary, match="BLAKE2b"):
            vocabulary.bundled("r50k_base")


def table(tokens: list[bytes]) -> tuple[bytes, np.ndarray, np.ndarray, int]:
    ends = np.cumsum([len(token) for token in tokens], dtype=np.uint64)
    return b"".join(tokens), ends, np.arange(len(tokens), dtype=np.uint32), PATTERNS["r50k"]


BYTES = [bytes([i]) for i in range(256)]


def test_a_table_without_a_byte_is_refused():
    with pytest.raises(BadVocabulary, match="byte 0xFF"):
        Encoder(*table(BYTES[:255]))


def test_a_token_twice_is_refused():
    with pytest.raises(BadVocabulary, match="twice"):
        Encoder(*table([*BYTES, b"ab", b"ab"]))


def test_an_empty_token_is_refused():
    with pytest.raises(BadVocabulary, match="token 256"):
        Encoder(*table([*BYTES, b""]))


def test_no_tokens_are_refused():
    with pytest.raises(BadVocabulary, match="0 ids"):
        Encoder(*table([]))


def test_tables_that_do_not_belong_together_are_refused():
    blob, ends, ids, pattern = table(BYTES)
    with pytest.raises(BadVocabulary):
        Encoder(blob[:-1], ends, ids, pattern)
    with pytest.raises(BadVocabulary):
        Encoder(blob, ends[:-1], ids, pattern)
    with pytest.raises(BadVocabulary):
        Encoder(blob, ends, ids[::-1].copy(), pattern)
    with pytest.raises(ValueError, match="pattern 99"):
        Encoder(blob, ends, ids, 99)


def crowded(pairs: int) -> list[bytes]:
    """Return tokens of four bytes of which `pairs` pairs share one bucket of the table (pairs.h)."""
    twos = [bytes([a, b]) for a in range(46) for b in range(128, 174)]
    rows = np.arange(256, 256 + len(twos), dtype=np.uint64)
    buckets = ((rows[:, None] << 20 | rows) * 0x9E3779B97F & (1 << 40) - 1) >> 28
    left, right = np.nonzero(buckets == 99)
    return [
        *BYTES,
        *twos,
        *(twos[a] + twos[b] for a, b in zip(left[:pairs], right[:pairs], strict=True)),
    ]


def test_pairs_whose_bucket_is_full_are_found_in_the_next():
    tokens = crowded(70)
    ranks = {token: rank for rank, token in enumerate(tokens)}
    encoder = Encoder(*table(tokens))
    rnd = random.Random(1)
    for token in tokens:
        assert encoder.merge_piece(token, "few") == [ranks[token]]
    for way in ("few", "few, plain", "search", "heap"):
        for _ in range(200):
            piece = b"".join(rnd.choices(tokens[256:], k=8))
            assert encoder.merge_piece(piece, way) == merge(piece, ranks)


def test_a_table_made_to_crowd_one_bucket_is_refused():
    with pytest.raises(BadVocabulary, match="hash alike"):
        Encoder(*table(crowded(200)))
