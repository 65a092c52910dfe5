"""Many small files: listed, divided into tasks, read together, and noticed when they change."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from hashlib import blake2b
from itertools import accumulate, pairwise
from pathlib import Path

import pytest

import fastprep.jobs.task as tasks
from fastprep import prepare
from fastprep.corpus.documents import Format, Span
from fastprep.corpus.formats import CONTENTS, Kind, kind_of
from fastprep.corpus.inputs import find
from fastprep.corpus.passed_over import Tally
from fastprep.corpus.plan import plan
from fastprep.corpus.reader import read
from fastprep.errors import InvalidInput
from fastprep_ext.base import Rows
from fastprep_ext.corpus import Folder, borders_between, load_files, modified_times


def files_in(folder: Path, count: int, size: Callable[[int], int] = lambda number: 9) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04d}.txt" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(b"%04d " % number + b"x" * (size(number) - 5))
    return paths


# -- reading ----------------------------------------------------------------------------------


@pytest.mark.parametrize("slow_ns", [0, 1 << 62], ids=["several at a time", "one by one"])
def test_files_are_read_to_their_places(tmp_path: Path, slow_ns: int) -> None:
    paths = files_in(tmp_path, 200, lambda number: 6 + number * 7 % 50)
    content = [path.read_bytes() for path in paths]
    rows, times = Rows(), []
    rows.append(b"before", 0)
    names = [str(path) for path in paths]
    assert load_files(names, [*map(len, content)], rows, times, slow_ns) == 200
    assert bytes(rows.held()) == b"before" + b"".join(content)
    assert times == modified_times(names) == [path.stat().st_mtime_ns for path in paths]


@pytest.mark.parametrize("slow_ns", [0, 1 << 62], ids=["several at a time", "one by one"])
@pytest.mark.parametrize("at", [0, 15, 16, 40, 199])
@pytest.mark.parametrize("damage", ["missing", "shorter", "longer", "a folder", "a pipe"])
def test_reading_ends_before_a_file_that_is_not_as_it_was(
    tmp_path: Path, damage: str, at: int, slow_ns: int
) -> None:
    paths = files_in(tmp_path, 200)
    paths[at].unlink()
    if damage in ("shorter", "longer"):
        paths[at].write_bytes(b"x" * (8 if damage == "shorter" else 10))
    if damage == "a folder":
        paths[at].mkdir()
    if damage == "a pipe":
        os.mkfifo(paths[at])
    rows, times = Rows(), []
    assert load_files([str(path) for path in paths], [9] * 200, rows, times, slow_ns) == at
    assert (rows.filled, len(times)) == (9 * at, at)
    with pytest.raises((InvalidInput, IsADirectoryError), match=paths[at].name):
        list(read([Span(str(path), 0, 9, 9) for path in paths], Format()))


def test_names_that_are_not_ascii_or_not_unicode_are_read(tmp_path: Path) -> None:
    names = [os.fsencode(tmp_path) + b"/" + name for name in ("é 中.txt".encode(), b"\xff.txt")]
    for name in names:
        Path(os.fsdecode(name)).write_bytes(b"one")
    rows = Rows()
    assert load_files([os.fsdecode(names[0]), names[1]], [3, 3], rows) == 2
    with pytest.raises(ValueError, match="null byte"):
        load_files(["a\0b"], [3], rows)


def test_times_are_those_before_the_reading(tmp_path: Path) -> None:
    paths = files_in(tmp_path, 30)
    paths[7].write_bytes(b"\xff\xfe\0\0")  # read by itself
    spans = find(tmp_path)
    times: list[int | None] = []
    found = read(spans, Format(on_error="skip"), times=times)
    next(found)
    for path in paths:
        os.utime(path, ns=(1, 1))
    list(found)
    assert len(times) == len(spans)
    assert times[0] not in (1, None)


def test_a_small_file_that_changes_after_it_was_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = files_in(tmp_path / "in", 30)
    real = tasks.modified

    def touching(spans: list[Span]) -> list[int | None]:
        os.utime(paths[20], ns=(1, 1))
        return real(spans)

    monkeypatch.setattr(tasks, "modified", touching)
    with pytest.raises(InvalidInput, match=r"0020\.txt: it was changed while it was read"):
        prepare(tmp_path / "in", tmp_path / "store", progress=False)


# -- listing ----------------------------------------------------------------------------------


def test_plain_files_are_told_from_other_entries(tmp_path: Path) -> None:
    files_in(tmp_path, 5)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("0001.txt")
    os.link(tmp_path / "0002.txt", tmp_path / "another name")
    os.mkfifo(tmp_path / "pipe")
    folder = Folder(str(tmp_path), tmp_path.stat().st_dev)
    names, sizes, others, inodes = [], [], [], []
    while True:
        some, lengths, rest, numbers = folder.read(3)
        if not some and not rest:
            break
        assert len(some) + len(rest) <= 3
        names += some
        sizes += lengths
        others += rest
        inodes += numbers
    assert sorted(names) == [f"000{number}.txt" for number in (0, 1, 3, 4)]
    assert sorted(others) == ["0002.txt", "another name", "folder", "link", "pipe"]
    assert sizes == [9] * 4
    assert inodes == [(tmp_path / name).stat().st_ino for name in names]
    elsewhere = Folder(str(tmp_path), tmp_path.stat().st_dev + 1)
    assert elsewhere.read(50)[0] == []


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        Folder(str(tmp_path / "missing"), 1)
    with pytest.raises(NotADirectoryError):
        Folder(__file__, 1)


def test_folders_are_listed_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = files_in(tmp_path, 10) + files_in(tmp_path / "deeper", 10)
    for name in ("a.md", ".hidden.txt", "_b.txt", "c.json", "shard-00000.bin"):
        (tmp_path / name).write_text("one")
    (tmp_path / "link.txt").symlink_to("0003.txt")
    whole, passed = find(tmp_path), Tally()
    monkeypatch.setattr("fastprep.corpus.search._ENTRIES", 2)
    assert find(tmp_path, passed=passed) == whole
    assert [span.path for span in whole] == sorted(map(str, paths))
    assert {record.reason: record.count for record in passed.records()} == {
        "the name begins with . or _": 2,
        "not of a kind that is read": 1,
        "a .json file in a folder is usually metadata": 1,
        "the same file as one that is read": 1,
    }


def test_the_kind_of_a_name_is_that_of_all_its_suffixes() -> None:
    for suffix, content in CONTENTS.items():
        for name in (f"a{suffix}", f"in/a.b{suffix}", f"a{suffix.upper()}", f".a{suffix}"):
            assert kind_of(name) == Kind(content), name
        assert kind_of(suffix) is kind_of(f"in/{suffix}") is None
    assert kind_of("https://host/a.gz?x=b.txt") is None
    assert kind_of("https://host/a.jsonl?x=b.txt") == Kind("lines")


# -- division into tasks ----------------------------------------------------------------------


def borders_by_definition(spans: list[Span], most: int) -> list[int]:
    """Return the borders as an earlier version computed them, with lists of hashes."""
    keys = [
        [blake2b(name.encode(), digest_size=8).digest() for name in reversed(span.path.split("/"))]
        for span in spans
    ]
    sizes = [0, *accumulate(span.size for span in spans)]
    count = len(spans)
    first, end = [0] * count, [count] * count
    waiting: list[int] = []
    for index in range(1, count):
        while waiting and keys[waiting[-1]] > keys[index]:
            end[waiting.pop()] = index
        first[index] = waiting[-1] if waiting else 0
        waiting.append(index)
    return [i for i in range(1, count) if sizes[end[i]] - sizes[first[i]] > most]


def test_borders_are_those_of_the_definition() -> None:
    draw = random.Random(1)
    for _ in range(300):
        spans = [
            Span(
                "/".join(draw.choices(["a", "b", "éü", "x/y", ""], k=draw.randrange(4)))
                + f"/{draw.choice('abcdef')}.txt",
                0,
                size,
                size,
            )
            for size in draw.choices(range(20), k=draw.randrange(1, 60))
        ]
        most = draw.randrange(1, 100)
        borders = borders_by_definition(spans, most)
        paths, sizes = [span.path for span in spans], [span.size for span in spans]
        assert borders_between(paths, sizes, most) == borders
        if sum(sizes) > most:
            edges = pairwise([0, *borders, len(spans)])
            expected = [tuple(spans[start:stop]) for start, stop in edges]
            assert plan(spans, Format(separator=None), shard_bytes=most) == expected
