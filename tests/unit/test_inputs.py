"""Inputs: folders, patterns and URLs are expanded to the same files every time."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from reading import read

from fastprep import prepare
from fastprep.corpus import inputs, remote
from fastprep.corpus.documents import Format, Span
from fastprep.corpus.reader import can_split, whole
from fastprep.errors import InvalidInput, MissingExtra
from fastprep.jobs.estimate import estimate

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        *("b.txt", "a.jsonl", "a.parquet", "c.json.gz", "meta.json", "README.md", ".hidden.txt"),
        *("sub/z.ndjson", "sub/deep/y.txt.zst", ".git/x.txt", "sub/.cache/w.txt", "a[1].txt"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def names(found: list[Span], folder: Path) -> list[str]:
    return [Path(span.path).relative_to(folder).as_posix() for span in found]


def test_a_folder_is_its_readable_files_at_any_depth_sorted_by_name(folder: Path) -> None:
    expected = ["a.jsonl", "a.parquet", "a[1].txt", "b.txt", "c.json.gz", "sub/deep/y.txt.zst"]
    assert names(inputs.find(folder), folder) == [*expected, "sub/z.ndjson"]
    assert names(inputs.find([folder / "sub", folder / "b.txt"]), folder) == [
        *("sub/deep/y.txt.zst", "sub/z.ndjson", "b.txt")
    ]


def test_a_pattern_is_the_readable_files_that_match_it(folder: Path) -> None:
    assert names(inputs.find(folder / "*.txt"), folder) == ["a[1].txt", "b.txt"]
    assert names(inputs.find(folder / "*"), folder) == [
        *("a.jsonl", "a.parquet", "a[1].txt", "b.txt", "c.json.gz", "meta.json")
    ]
    assert names(inputs.find(str(folder / "**" / "*.txt*")), folder) == [
        *("a[1].txt", "b.txt", "sub/deep/y.txt.zst")
    ]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(folder: Path) -> None:
    assert names(inputs.find(folder / "a[1].txt"), folder) == ["a[1].txt"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sub/.cache", None),
        ("empty", "no files in this folder can be read; supported are .txt"),
        ("*.csv", "no file that can be read matches this pattern"),
        ("README.md", r"files ending in '\.md' cannot be read"),
        ("none.txt", "no such file"),
    ],
)
def test_an_input_without_files_is_an_error(folder: Path, name: str, message: str | None) -> None:
    (folder / "empty").mkdir()
    if message is None:  # a hidden folder is read if it is itself the input
        assert names(inputs.find(folder / name), folder) == ["sub/.cache/w.txt"]
        return
    with pytest.raises(InvalidInput, match=message):
        inputs.find(folder / name)


def test_no_inputs_are_an_error() -> None:
    with pytest.raises(InvalidInput, match="no inputs"):
        inputs.find([])


LINES = "".join(json.dumps({"text": f"text {i} é"}) + "\n" for i in range(200))
TEXTS = [f"text {i} é".encode() for i in range(200)]


@pytest.fixture
def memory() -> Iterator[str]:
    system = fsspec.filesystem("memory")
    with system.open("/job/sub/a.jsonl", "wb") as file:
        file.write(LINES.encode())
    with system.open("/job/.hidden.jsonl", "wb") as file:
        file.write(b"x")
    yield "memory://job"
    system.rm("/job", recursive=True)


def test_a_url_is_read_by_ranges_like_a_file(memory: str) -> None:
    url = f"{memory}/sub/a.jsonl"
    span = whole(url)
    assert span == Span(url, 0, len(LINES.encode()), len(LINES.encode()))
    assert can_split(url, Format())
    cuts = [0, 100, 1000, 2001, span.size]
    parts = [Span(url, a, b, span.size) for a, b in pairwise(cuts)]
    assert read(parts, Format(), block_bytes=64) == TEXTS


def test_folders_and_patterns_of_urls_are_listed(memory: str) -> None:
    for url in (f"{memory}/", f"{memory}/*/*.jsonl", f"{memory}/**"):
        (span,) = inputs.find(url)
        assert span.path.endswith("job/sub/a.jsonl")
        assert read([span], Format()) == TEXTS
    for url in (f"{memory}/*.txt", "memory://none/"):
        with pytest.raises(InvalidInput, match=r"no file that can be read is there|no such folder"):
            inputs.find(url)
    with pytest.raises(InvalidInput, match="a directory; pass it with a / at its end"):
        remote.size_of(f"{memory}/sub")


def test_a_store_of_urls_names_them_as_they_were_given(memory: str, tmp_path: Path) -> None:
    url = f"{memory}/sub/a.jsonl"
    store = prepare(url, tmp_path / "store", workers=1, progress=False)
    (tmp_path / "a.jsonl").write_text(LINES)
    same = prepare(tmp_path / "a.jsonl", tmp_path / "same", workers=1, progress=False)
    assert [span.path for span in store.manifest.shards[0].inputs] == [url]
    assert store[:].tolist() == same[:].tolist()


def test_files_by_their_url_are_files(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(LINES)
    assert read(inputs.find(f"file://{tmp_path}/a.jsonl"), Format()) == TEXTS
    assert read(inputs.find(f"file://{tmp_path}/*"), Format()) == TEXTS


def test_a_bad_line_behind_a_url_is_named(memory: str) -> None:
    with fsspec.filesystem("memory").open("/job/bad.jsonl", "wb") as file:
        file.write(LINES.encode() + b"{\n")
    span = whole(f"{memory}/bad.jsonl")
    with pytest.raises(InvalidInput, match=r"memory://job/bad\.jsonl, line 201: "):
        read([Span(span.path, 300, span.size, span.size)], Format())


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_server_without_ranges_is_read_from_the_beginning(server: str, tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    (tmp_path / "a.jsonl").write_text(LINES)
    span = whole(f"{server}/a.jsonl")
    assert span.size == len(LINES.encode())
    assert not can_split(span.path, Format())
    assert read([span], Format(), block_bytes=100) == TEXTS
    assert estimate(span.path).documents == len(TEXTS)
    (tmp_path / "large.jsonl").write_text(LINES * 2000)  # more than one fetch
    assert len(read([whole(f"{server}/large.jsonl")], Format())) == len(TEXTS) * 2000
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(InvalidInput, match=r"a\.parquet: the server does not support byte ranges"):
        read([whole(f"{server}/a.parquet")], Format())
    with pytest.raises(InvalidInput, match=r"none\.jsonl: no such file"):
        whole(f"{server}/none.jsonl")


@pytest.mark.parametrize("url", ["nothing://a.jsonl", "s3://bucket/a.jsonl"])
def test_a_scheme_that_is_unknown_or_not_installed_is_named(url: str) -> None:
    with pytest.raises((InvalidInput, MissingExtra), match=r"a\.jsonl: "):
        whole(url)


def test_without_fsspec_a_url_is_an_error_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fsspec.core", None)
    with pytest.raises(MissingExtra, match=r"pip install 'fastprep\[remote\]'"):
        whole("memory://a.jsonl")
