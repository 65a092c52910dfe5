"""Compressed files have the documents of the original file, and errors name the damage."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import PRINT_MEMORY, bad_in, read

from fastprep.corpus import compressed
from fastprep.corpus.documents import Format, Span
from fastprep.corpus.reader import can_split, whole
from fastprep.errors import DamagedInput, InvalidInput, MissingExtra

zstandard = pytest.importorskip("zstandard")

Pack = Callable[[bytes], bytes]
PACK: dict[str, Pack] = {
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}
TEXT = st.text(alphabet=list("ab \n|é漢😀"), max_size=40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packed")


def lines(texts: list[str]) -> bytes:
    return b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(TEXT, max_size=8),
    packing=st.sampled_from(sorted(PACK)),
    suffix=st.sampled_from([".txt", ".jsonl", ".ndjson", ".json"]),
    mark=st.booleans(),
    members=st.lists(st.integers(0, 300), max_size=3),
    block_bytes=st.integers(1, 60),
    cut=st.booleans(),
    chunk=st.sampled_from([1, 7, 1 << 18]),
)
def test_a_packed_file_has_the_documents_of_what_was_packed(
    folder: Path,
    texts: list[str],
    packing: str,
    suffix: str,
    mark: bool,
    members: list[int],
    block_bytes: int,
    cut: bool,
    chunk: int,
) -> None:
    content = "\ufeff".encode() * mark
    content += lines(texts) if suffix != ".txt" else "|".join(texts).encode()
    plain = folder / f"plain{suffix}"
    plain.write_bytes(content)
    edges = sorted({0, len(content), *(at % (len(content) + 1) for at in members)})
    packed = folder / f"packed{suffix}{packing}"
    packed.write_bytes(
        b"".join(PACK[packing](content[a:b]) for a, b in pairwise(edges))
        if content
        else PACK[packing](b"")
    )
    expected = read([whole(plain)], Format("|")) if content else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compressed, "_PACKED_BYTES", chunk)
        patch.setattr(compressed, "_UNPACKED_BYTES", chunk)
        assert read([whole(packed)], Format("|"), block_bytes=block_bytes, cut=cut) == expected


@pytest.mark.parametrize("packing", sorted(PACK))
@pytest.mark.parametrize("suffix", [".txt", ".jsonl"])
@pytest.mark.parametrize("on_error", ["raise", "skip", "replace"])
def test_every_truncation_is_reported_and_the_text_before_it_is_kept(
    tmp_path: Path, packing: str, suffix: str, on_error: str
) -> None:
    texts = [f"text {number} é" for number in range(40)]
    content = lines(texts) if suffix == ".jsonl" else "|".join(texts).encode()
    packed = PACK[packing](content)
    path = tmp_path / f"a{suffix}{packing}"
    form = Format("|", on_error=on_error)
    most = 0
    for size in range(1, len(packed)):
        path.write_bytes(packed[:size])
        if on_error == "raise":
            with pytest.raises(DamagedInput, match=rf"a{suffix}{packing}, byte {size}: .*ends in"):
                read([whole(path)], form)
            continue
        found = read([whole(path)], form)
        assert found == [text.encode() for text in texts[: len(found)]]
        most = max(most, len(found))
        (bad,) = bad_in([whole(path)], form)
        assert bad.place == f"{path}, byte {size}"
        assert "the file ends in the middle" in bad.reason
    assert on_error == "raise" or most > 30


@pytest.mark.parametrize("packing", sorted(PACK))
def test_what_follows_the_last_member_is_damage_but_padding_is_not(
    tmp_path: Path, packing: str
) -> None:
    path = tmp_path / f"a.txt{packing}"
    path.write_bytes(PACK[packing](b"one|two") + b"\0" * 1000)
    assert read([whole(path)], Format("|")) == [b"one", b"two"]
    path.write_bytes(PACK[packing](b"one|two") + b"more and more")
    with pytest.raises(DamagedInput, match=r"a\.txt.*damaged .*, after 7 bytes of text"):
        read([whole(path)], Format("|"))


@pytest.mark.parametrize("packing", sorted(PACK))
@pytest.mark.parametrize("junk", [b"x", b"junk", b"\x28\x1f", b"\x50more", b"junk" * 100])
def test_what_is_no_member_is_named_by_the_byte_where_it_begins(
    tmp_path: Path, packing: str, junk: bytes
) -> None:
    path = tmp_path / f"a.txt{packing}"
    path.write_bytes(junk)
    with pytest.raises(DamagedInput, match=rf"byte 0: .*no {packing} file starts with"):
        read([whole(path)], Format("|"))
    packed = PACK[packing](b"one|two")
    path.write_bytes(packed + junk)
    with pytest.raises(
        DamagedInput, match=rf"byte {len(packed)}: .*\(no further member starts with"
    ):
        read([whole(path)], Format("|"))
    assert read([whole(path)], Format("|", on_error="skip")) == [b"one"]


def test_damage_in_a_file_of_an_odd_name_has_the_right_place_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "a: b; c.txt.gz"
    path.write_bytes(PACK[".gz"](b"one|two|three")[:-9])
    (bad,) = bad_in([whole(path)], Format("|", on_error="skip"))
    assert bad.place == f"{path}, byte {path.stat().st_size}"
    assert bad.reason.startswith("the file ends in the middle")


def test_frames_that_are_to_be_skipped_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.zst"
    skipped = b"\x5a\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"abc"
    path.write_bytes(skipped + PACK[".zst"](b"one|") + skipped + PACK[".zst"](b"two") + skipped)
    assert read([whole(path)], Format("|")) == [b"one", b"two"]


@pytest.mark.parametrize("packing", sorted(PACK))
def test_a_packed_file_of_nothing_has_no_documents(tmp_path: Path, packing: str) -> None:
    path = tmp_path / f"a.txt{packing}"
    for content in (PACK[packing](b""), PACK[packing]("\ufeff".encode())):
        path.write_bytes(content)
        assert read([whole(path)], Format("|")) == []


@pytest.mark.parametrize("packing", sorted(PACK))
def test_a_bad_line_of_a_packed_file_is_named_by_its_number(tmp_path: Path, packing: str) -> None:
    path = tmp_path / f"a.jsonl{packing}"
    path.write_bytes(PACK[packing](lines(["one"] * 500) + b'{"text": 5}\n' + lines(["two"])))
    for block_bytes in (50, 1 << 20):
        with pytest.raises(InvalidInput, match=rf"a\.jsonl{packing}, line 501: Expected `str`"):
            read([whole(path)], Format(), block_bytes=block_bytes)
        (bad,) = bad_in([whole(path)], Format(on_error="skip"), block_bytes=block_bytes)
        assert bad.place == f"{path}, line 501"


def test_a_packed_file_is_read_from_its_beginning_only(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(PACK[".gz"](b"one|two"))
    size = path.stat().st_size
    assert not can_split(str(path), Format("|"))
    with pytest.raises(InvalidInput, match="from its start, not from byte 3"):
        read([Span(str(path), 3, size, size)], Format("|"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("packing", sorted(PACK))
def test_what_unpacks_to_very_much_is_read_in_bounded_memory(tmp_path: Path, packing: str) -> None:
    path = tmp_path / f"bomb.txt{packing}"
    block = b"word " * 200_000
    path.write_bytes(PACK[packing](block * 2) * 200)  # 400 MB from 200 members
    script = f"""
from fastprep.corpus.reader import batches, whole
from fastprep.corpus.documents import Format
size = sum(batch.size for batch in batches(whole({str(path)!r}), Format(), block_bytes=1 << 19))
assert size == 400_000_000, size
"""
    found = subprocess.run(
        [sys.executable, "-c", script + PRINT_MEMORY], capture_output=True, check=True
    )
    assert int(found.stdout) < 128


def test_what_unpacks_without_an_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastprep.corpus.sources._MAX_PACKED_DOCUMENT", 1 << 20)
    for name in ("bomb.txt.zst", "bomb.jsonl.zst"):
        path = tmp_path / name
        path.write_bytes(PACK[".zst"](b"\0" * (8 << 20)))
        with pytest.raises(DamagedInput, match=r"decompresses to more than .* without the end"):
            read([whole(path)], Format(), cut=True)


def test_a_window_that_takes_too_much_memory_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.zst"
    parameters = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    path.write_bytes(packer.compress(b"one") + packer.flush())
    with pytest.raises(DamagedInput, match="a window of more than 128 MiB"):
        read([whole(path)], Format())


def test_without_its_package_a_zst_file_is_an_error_that_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt.zst"
    path.write_bytes(PACK[".zst"](b"one"))
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    with pytest.raises(MissingExtra, match=r"pip install 'fastprep\[zstd\]'"):
        read([whole(path)], Format())


def test_gzip_is_unpacked_alike_with_and_without_isal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(PACK[".gz"](b"one|" * 100_000) + PACK[".gz"](b"two"))
    fast = read([whole(path)], Format("|"))
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    assert read([whole(path)], Format("|")) == fast
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedInput, match="ends in the middle"):
        read([whole(path)], Format("|"))
