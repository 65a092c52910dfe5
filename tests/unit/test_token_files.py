"""A text file to a file of ids: the ids of the whole text, for all blocks and threads."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from texts import mixed

from fastprep import get_encoding
from fastprep.encoding import files as token_files
from fastprep.encoding.encoding import Encoding
from fastprep.errors import InvalidInput, InvalidUtf8


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("name", ["gpt2", "o200k_base"])
def test_ids_are_those_of_the_whole_text(tmp_path: Path, monkeypatch, name: str, workers: int):
    monkeypatch.setattr(token_files, "BLOCK_BYTES", 50)
    rnd = random.Random(workers)
    encoding = get_encoding(name)
    for number in range(60):
        text = "".join(mixed(rnd) for _ in range(number))
        source, target = tmp_path / "text", tmp_path / "ids"
        source.write_bytes(text.encode())
        expected = encoding.encode_ordinary(text)
        assert encoding.encode_file(source, target, workers=workers) == len(expected)
        dtype = np.uint16 if name == "gpt2" else np.uint32
        assert np.fromfile(target, dtype).tolist() == expected


def test_a_byte_order_mark_and_line_ends_are_text(tmp_path: Path, gpt2: Encoding):
    (tmp_path / "text").write_bytes("\ufeffone\r\ntwo".encode())
    gpt2.encode_file(tmp_path / "text", tmp_path / "ids", dtype=np.uint32)
    ids = np.fromfile(tmp_path / "ids", np.uint32)
    assert gpt2.decode(ids) == "\ufeffone\r\ntwo"


def test_text_that_may_not_be_cut_is_encoded_as_a_whole(tmp_path: Path, monkeypatch, gpt2):
    monkeypatch.setattr(token_files, "BLOCK_BYTES", 8)
    odd = Encoding(
        "odd", pat_str=r".{7}|.", mergeable_ranks=gpt2._mergeable_ranks, special_tokens={}
    )
    (tmp_path / "text").write_text("one two three four five")
    odd.encode_file(tmp_path / "text", tmp_path / "ids")
    ids = np.fromfile(tmp_path / "ids", np.uint16).tolist()
    assert ids == odd.encode_ordinary("one two three four five")


def test_invalid_utf8_names_the_byte_and_keeps_the_old_file(tmp_path: Path, gpt2, monkeypatch):
    monkeypatch.setattr(token_files, "BLOCK_BYTES", 16)
    source, target = tmp_path / "text", tmp_path / "ids"
    source.write_bytes(b"some words and " * 5 + b"\xff more")
    target.write_bytes(b"kept")
    for workers in (1, 2):
        with pytest.raises(InvalidUtf8, match=r"text, byte 75: .* UTF-8") as caught:
            gpt2.encode_file(source, target, workers=workers)
        assert caught.value.offset == 75
    assert target.read_bytes() == b"kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ids", "text"]


def test_invalid_arguments_are_refused(tmp_path: Path, gpt2: Encoding):
    with pytest.raises(InvalidInput, match="missing: No such file"):
        gpt2.encode_file(tmp_path / "missing", tmp_path / "ids")
    (tmp_path / "text").write_text("words")
    with pytest.raises(ValueError, match="uint16 or uint32 in a file, not int64"):
        gpt2.encode_file(tmp_path / "text", tmp_path / "ids", dtype=np.int64)
    with pytest.raises(ValueError, match="workers is 0; it must be a whole number from 1"):
        gpt2.encode_file(tmp_path / "text", tmp_path / "ids", workers=0)
    with pytest.raises(OverflowError, match="uint16"):
        get_encoding("cl100k_base").encode_file(tmp_path / "text", tmp_path / "ids", dtype="u2")
    assert not (tmp_path / "ids").exists()


def test_an_empty_file_has_no_ids(tmp_path: Path, gpt2: Encoding):
    (tmp_path / "text").touch()
    assert gpt2.encode_file(tmp_path / "text", tmp_path / "ids") == 0
    assert (tmp_path / "ids").read_bytes() == b""
