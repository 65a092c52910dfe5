"""Archives: the documents of their members, as if the members were files of a folder."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reading import PRINT_MEMORY, bad_in, read

from fastprep import prepare, verify
from fastprep.corpus.documents import Format, Span
from fastprep.corpus.inputs import find
from fastprep.corpus.reader import can_split, whole
from fastprep.errors import DamagedInput, InvalidInput
from fastprep.jobs.estimate import estimate

zstandard = pytest.importorskip("zstandard")

# Members that are passed over are a warning; one test is about it.
pytestmark = pytest.mark.filterwarnings("ignore:passed over")

LINES = b"".join(json.dumps({"text": f"line {i}"}).encode() + b"\n" for i in range(3))
MEMBERS = {
    "a.txt": b"one|two",
    "b.jsonl": LINES,
    "sub/c.csv": b'id,text\n1,"three\nlines"\n',
    "sub/d.jsonl.gz": gzip.compress(LINES, mtime=0),
    "sub/e.tsv.zst": zstandard.compress(b"text\nfour\n"),
    "f.ndjson": b'{"text": "five"}',
    "empty.txt": b"",
    "picture.jpg": b"\xff\xd8\xff",
    "_meta.txt": b"no",
    ".hidden/g.txt": b"no",
}
LINE_TEXTS = [b"line 0", b"line 1", b"line 2"]
TEXTS = [b"one", b"two", *LINE_TEXTS, b"three\nlines", *LINE_TEXTS, b"four", b"five"]


def tar(path: Path, members: dict[str, bytes], mode: str = "w", **options: Any) -> Path:
    with tarfile.open(path, mode, **options) as archive:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return path


def zipped(path: Path, members: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def tar_zst(path: Path, members: dict[str, bytes]) -> Path:
    plain = tar(path.with_name("plain.tar"), members)
    path.write_bytes(zstandard.compress(plain.read_bytes()))
    plain.unlink()
    return path


MAKE: dict[str, Callable[[Path, dict[str, bytes]], Path]] = {
    "a.tar": tar,
    "a.tar.gz": lambda path, members: tar(path, members, "w:gz"),
    "a.tgz": lambda path, members: tar(path, members, "w:gz"),
    "a.tar.xz": lambda path, members: tar(path, members, "w:xz"),
    "a.tar.bz2": lambda path, members: tar(path, members, "w:bz2"),
    "a.tar.zst": tar_zst,
    "gnu.tar": lambda path, members: tar(path, members, format=tarfile.GNU_FORMAT),
    "a.zip": zipped,
    "stored.zip": lambda path, members: zipped(path, members, zipfile.ZIP_STORED),
    "lzma.zip": lambda path, members: zipped(path, members, zipfile.ZIP_LZMA),
}


@pytest.mark.parametrize("name", sorted(MAKE))
def test_an_archive_has_the_documents_of_its_members(tmp_path: Path, name: str) -> None:
    path = MAKE[name](tmp_path / name, MEMBERS)
    form = Format("|")
    for block_bytes in (1, 1 << 20):
        assert read([whole(path)], form, block_bytes=block_bytes) == TEXTS
    store = prepare(path, tmp_path / "store", separator="|", progress=False)
    assert store.num_documents == len(TEXTS)
    assert verify(store, against="tiktoken").compared == len(TEXTS)
    assert estimate(path, separator="|").documents > 0


@pytest.mark.parametrize("name", ["a.tar", "a.zip"])
def test_an_archive_is_one_task(tmp_path: Path, name: str) -> None:
    path = MAKE[name](tmp_path / name, MEMBERS)
    size = path.stat().st_size
    assert not can_split(str(path), Format("|"))
    with pytest.raises(InvalidInput, match="an archive can only be read from its start"):
        read([Span(str(path), 1, size, size)], Format("|"))
    made = [
        prepare(path, tmp_path / str(n), separator="|", shard_bytes=200, workers=n, progress=False)
        for n in (1, 2)
    ]
    assert len(made[0].manifest.shards) == 1
    assert made[0].manifest == made[1].manifest


@pytest.mark.parametrize("name", ["a.tar", "a.zip"])
def test_of_pairs_of_members_the_format_says_which_are_read(tmp_path: Path, name: str) -> None:
    members = {}
    for number in range(3):
        members[f"{number}.jpg"] = b"\xff"
        members[f"{number}.json"] = json.dumps({"text": f"json {number}"}, indent=1).encode()
        members[f"{number}.txt"] = f"txt {number}".encode()
    path = MAKE[name](tmp_path / name, members)
    with pytest.raises(InvalidInput, match=r"0\.txt: the archive has \.json members and others"):
        read([whole(path)], Format())
    for form in ("json", "txt"):
        asked = Format(format=form)
        expected = [f"{form} {number}".encode() for number in range(3)]
        assert read([whole(path, asked)], asked) == expected
        assert read(find(tmp_path, asked), asked) == expected
    only = MAKE[name](tmp_path / name, {"0.json": members["0.json"], "0.jpg": b""})
    assert read([whole(only)], Format()) == [b"json 0"]
    names = MAKE[name](tmp_path / name, {"wiki_00": LINES, "README": LINES})
    with pytest.raises(InvalidInput, match="no member of the archive can be read"):
        read([whole(names)], Format())
    assert read([whole(names)], Format(format="jsonl")) == 2 * LINE_TEXTS


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
def test_a_bad_document_of_a_member_is_named(tmp_path: Path, name: str) -> None:
    members = {
        "x/a.jsonl": LINES + b'{"text": 5}\n' + LINES,
        "b.csv": b"text,id\na,1\nb\nc,3\n",
        "c.csv": b"body\na\n",
        "d.txt": "é".encode("utf-16"),
    }
    path = MAKE[name](tmp_path / name, members)
    with pytest.raises(InvalidInput, match=rf"{name}, member x/a\.jsonl, line 4: Expected `str`"):
        read([whole(path)], Format())
    form = Format(on_error="skip")
    assert read([whole(path)], form) == [*LINE_TEXTS, *LINE_TEXTS, b"a", b"c"]
    assert [bad.place.removeprefix(f"{path}, member ") for bad in bad_in([whole(path)], form)] == [
        *("x/a.jsonl, line 4", "b.csv, line 3", "c.csv", "d.txt")
    ]
    store = prepare(path, tmp_path / "out", on_error="skip", progress=False)
    assert store.manifest.shards[0].bad_documents == 4
    assert verify(store, against="tiktoken").compared == 8


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.zst", "a.zip"])
def test_no_truncation_of_an_archive_is_passed_over(tmp_path: Path, name: str) -> None:
    members = {f"{number}.txt": f"text {number}".encode() * 90 for number in range(3)}
    path = MAKE[name](tmp_path / name, members)
    content = path.read_bytes()
    whole_texts = [members[f"{number}.txt"] for number in range(3)]
    # The zeros that fill the last block of a tar are not needed.
    last = len(content) if name != "a.tar" else len(content.rstrip(b"\0")) + 1
    for size in range(1, last, 13):
        path.write_bytes(content[:size])
        with pytest.raises(DamagedInput, match=name):
            read([whole(path)], Format())
        form = Format(on_error="skip")
        found = read([whole(path)], form)
        assert found == whole_texts[: len(found)]
        assert len(bad_in([whole(path)], form)) == 1


def test_a_damaged_header_in_a_tar_is_not_taken_for_its_end(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", {f"{number}.txt": b"text" for number in range(3)})
    content = bytearray(path.read_bytes())
    content[1024 + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedInput, match=r"a\.tar: the archive is damaged \(before its byte"):
        read([whole(path)], Format())
    assert read([whole(path)], Format(on_error="skip")) == [b"text"]


def test_a_second_archive_after_the_end_of_a_tar_is_not_passed_over(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", {"a.txt": b"one"})
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(DamagedInput, match=r"a\.tar: there is data after the end of the archive"):
        read([whole(path)], Format())
    path.write_bytes(path.read_bytes()[:10240] + b"\0" * 5000)
    assert read([whole(path)], Format()) == [b"one"]


def test_members_of_a_zip_that_cannot_be_opened_are_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.txt": b"one", "b.txt": b"two", "c.txt": b"three"})
    content = bytearray(path.read_bytes())
    # The flags of the second member, in its header and in the directory.
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = content.index(signature, content.index(signature) + 1)
        content[at + flags] |= 1
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"a\.zip, member b\.txt: it is encrypted"):
        read([whole(path)], Format())
    form = Format(on_error="skip")
    assert read([whole(path)], form) == [b"one", b"three"]
    (bad,) = bad_in([whole(path)], form)
    assert bad.place == f"{path}, member b.txt"


def test_links_and_folders_of_a_tar_are_passed_over(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (
            ("a", tarfile.DIRTYPE),
            ("b.txt", tarfile.SYMTYPE),
            ("c.txt", tarfile.REGTYPE),
        ):
            header = tarfile.TarInfo(name)
            header.type, header.linkname = kind, "/etc/passwd"
            header.size = 3 if kind == tarfile.REGTYPE else 0
            archive.addfile(header, io.BytesIO(b"one"))
    assert read([whole(tmp_path / "a.tar")], Format()) == [b"one"]


def test_an_archive_on_standard_input(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar.gz", {"a.jsonl": LINES}, "w:gz")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "fastprep",
            "prepare",
            "-",
            "-o",
            tmp_path / "out",
            "--quiet",
            "--format",
            "tar.gz",
        ],
        input=path.read_bytes(),
        check=True,
    )
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["documents"] == 3


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ["a.tar.zst", "a.zip"])
def test_archives_are_read_in_bounded_memory(tmp_path: Path, name: str) -> None:
    text = b"word " * 500_000
    path = MAKE[name](tmp_path / name, {f"{number}.txt": text for number in range(40)})  # 100 MB
    script = f"""
from fastprep.corpus.reader import read, whole
from fastprep.corpus.documents import Format
size = sum(batch.size for batch in read([whole({str(path)!r})], Format()))
assert size == 100_000_000, size
"""
    found = subprocess.run(
        [sys.executable, "-c", script + PRINT_MEMORY], capture_output=True, check=True
    )
    assert int(found.stdout) < 110


@pytest.mark.parametrize("suffix", ["tar", "zip"])
@pytest.mark.parametrize("other", ["b.parquet", "b.arrow", "b.zip", "b.tar.gz"])
def test_members_that_only_a_folder_could_read_are_errors(
    tmp_path: Path, suffix: str, other: str
) -> None:
    members = {"a.jsonl": b'{"text": "One."}\n', other: b"some bytes", "c.md": b"# Notes"}
    path = tmp_path / f"a.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w") as archive:
            for name, content in members.items():
                header = tarfile.TarInfo(name)
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
    with pytest.raises(InvalidInput, match=f"member {other}: .*cannot be read within an archive"):
        prepare(path, tmp_path / "store", progress=False)
    store = prepare(path, tmp_path / "skipped", on_error="skip", progress=False)
    assert (store.num_documents, store.manifest.shards[0].bad_documents) == (1, 1)
    assert prepare(path, tmp_path / "lines", format="jsonl", progress=False).num_documents == 1


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".zip"])
def test_members_that_are_passed_over_are_counted_and_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    members = {
        "a.jsonl": b'{"text": "One."}\n',
        "README.md": b"x",
        "_log/b.jsonl": b"{",
        "c.jpg": b"y",
    }
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w") as zipped:
            for name, content in members.items():
                zipped.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz" if suffix == ".tar.gz" else "w") as archive:
            for name, content in members.items():
                header = tarfile.TarInfo(name)
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
    with pytest.warns(UserWarning, match=r"passed over: 3 files: .*member README\.md"):
        store = prepare(path, tmp_path / "store", progress=False)
    (record,) = store.manifest.shards
    counts = {each.reason: each.count for each in record.passed_over or ()}
    assert counts == {"not of a kind that is read": 2, "the name begins with . or _": 1}
    with pytest.warns(UserWarning, match="passed over: 3 files"):
        shuffled = prepare(path, tmp_path / "shuffled", progress=False, shuffle=1)
    assert shuffled.manifest.shards[0].passed_over == record.passed_over
