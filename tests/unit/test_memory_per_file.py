"""Memory of a job of many files: bytes per file, records written in chunks, and names taken together."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path

import msgspec
import pytest

import fastprep.corpus.search as search
from fastprep import get_encoding, prepare
from fastprep.corpus.documents import Span
from fastprep.corpus.inputs import find
from fastprep.corpus.passed_over import Tally
from fastprep.errors import InvalidInput
from fastprep.jobs.job import Settings, make_job
from fastprep.jobs.journal import Journal
from fastprep.jobs.shares import Input
from fastprep.store import index as indexes
from fastprep.store import manifest as manifests
from fastprep.store.manifest import Manifest, ShardRecord
from fastprep_ext.corpus import known_paths


def folder_of(path: Path, count: int) -> Path:
    path.mkdir()
    for number in range(count):
        (path / f"{number:06d}.txt").write_bytes(b"Text %d." % (number % 7))
    return path


def manifest_of(shards: int, inputs: int) -> Manifest:
    spans = [Span(f'a\n"shards": [/{number}.txt', 0, 9, 9) for number in range(inputs)]
    return Manifest(
        format="fastprep token store",
        version=2,
        dtype="uint16",
        n_vocab=50257,
        encoding=manifests.EncodingRecord(
            name="gpt2", rank_table_sha256="0" * 64, pattern="\n", special_tokens={'"shards": [': 1}
        ),
        end_token=None,
        separator='\n  "shards": [',
        field="text",
        unicode_version=manifests.UNICODE_VERSION,
        tokens=shards,
        documents=shards,
        shards=[ShardRecord(1, 1, 0, [1], [2], spans) for _ in range(shards)],
    )


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


# -- records in chunks ------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [0, 1, 2, 3, 10])
@pytest.mark.parametrize("inputs", [0, 1, 4, 9])
def test_chunks_are_the_text_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, shards: int, inputs: int
) -> None:
    manifest = manifest_of(shards, inputs)
    whole = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    for items in (1, 4, 5, 1000):
        monkeypatch.setattr(manifests, "_CHUNK_ITEMS", items)
        assert b"".join(manifests.chunks(manifest)) == manifests.encode(manifest) == whole


def test_the_index_of_a_manifest_does_not_depend_on_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "HEAD_BYTES", 1 << 10)
    manifest = manifest_of(7, 3)
    found = []
    for items in (1, 4, 5, 1000):
        monkeypatch.setattr(manifests, "_CHUNK_ITEMS", items)
        path = tmp_path / str(items)
        path.mkdir()
        indexes.write_manifest(path, manifest)
        found.append(files_of(path))
        opened = indexes.open_manifest(path)
        indexes.check_digest(path, opened)
        records = indexes.read_records(path, opened, 0, 7, ShardRecord)
        assert records is not None
        assert [*records] == manifest.shards
    assert [*found[0]] == ["manifest-00000.index", "manifest.json"]
    assert all(each == found[0] for each in found)


def test_the_file_of_a_job_is_that_of_its_struct(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifests, "_CHUNK_ITEMS", 3)
    (tmp_path / "out").mkdir()
    job, _ = make_job(folder_of(tmp_path / "in", 8), get_encoding("gpt2"), Settings())
    Journal(tmp_path / "out").start(job)
    content = (tmp_path / "out/job.json").read_bytes()
    assert content == msgspec.json.format(msgspec.json.encode(job), indent=2) + b"\n"


# -- bytes per file ---------------------------------------------------------------------------


def traced_peak(work: object) -> int:
    assert callable(work)
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_writing_records_takes_no_memory_per_file(tmp_path: Path) -> None:
    """The text of 20,000 inputs takes 2.6 MB; a chunk of it 0.3 MB with its copies."""
    manifest = manifest_of(200, 100)
    job, _ = make_job(folder_of(tmp_path / "in", 1), get_encoding("gpt2"), Settings())
    job = msgspec.structs.replace(job, inputs=[Input(f"{n:09d}.txt", 9) for n in range(20_000)])
    journal = Journal(tmp_path)
    assert traced_peak(lambda: indexes.write_manifest(tmp_path, manifest)) < 1 << 20
    assert traced_peak(lambda: journal.start(job)) < 1 << 20


def test_a_job_of_many_files_takes_300_bytes_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path and span of a file, its input in the job's record, and references to them."""
    monkeypatch.chdir(tmp_path)
    # What is written and read at a time is not per file.
    monkeypatch.setattr(manifests, "_CHUNK_ITEMS", 64)
    monkeypatch.setattr(indexes, "_CHUNK_BYTES", 1 << 12)
    encoding = get_encoding("gpt2")
    peaks = []
    for number, count in enumerate((100, 500, 2500)):  # the first imports what a job needs
        folder_of(tmp_path / f"in{number}", count)

        def work(name: str = f"{number}") -> None:
            prepare(
                f"in{name}",
                f"out{name}",
                encoding=encoding,
                workers=1,
                shard_bytes=1000,
                progress=False,
            )

        peaks.append(traced_peak(work))
    assert (peaks[2] - peaks[1]) / 2000 < 300


def test_records_of_finished_shards_share_the_spans_of_their_tasks(tmp_path: Path) -> None:
    """Those read from a journal, too, so that a resumed job takes what it took before."""
    folder_of(tmp_path / "in", 40)
    (tmp_path / "in/zz.txt").write_bytes(b"One.<|endoftext|>" * 40)
    encoding, settings = get_encoding("gpt2"), Settings(shard_bytes=100)
    job, tasks = make_job(tmp_path / "in", encoding, settings)
    events: list[dict[str, object]] = []

    def log(event: dict[str, object]) -> None:
        events.append(event)
        if len(events) == len(tasks) - 1:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        prepare(
            tmp_path / "in",
            tmp_path / "out",
            shard_bytes=100,
            workers=1,
            progress=False,
            log=log,
        )
    numbered = dict(enumerate(tasks))
    finished, redone = Journal(tmp_path / "out").check_shards(job, numbered)
    assert len(finished) > 2
    assert not redone
    for number, done in finished.items():
        task = numbered[number]
        assert all(a is b for a, b in zip(done.records[0].inputs, task, strict=True))
        is_part = [span.end - span.start < span.size for span in task]
        assert [time is not None for time in done.modified] == is_part
    assert any(time for done in finished.values() for time in done.modified)


# -- names ------------------------------------------------------------------------------------


def test_names_are_taken_together_or_one_by_one_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(5)
    starts = ["a", "b.c", "_", ".", "é", "", "."]
    suffixes = [".txt", ".jsonl", ".TXT", ".json", ".md", "", ".txt.gz", "txt", ".é"]
    for number in range(40):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        for name in range(rng.randrange(1, 6)):
            start = "a" if number % 2 else rng.choice(starts)
            suffix = ".txt" if number % 3 else rng.choice(suffixes)
            (folder / f"{start}{name}{suffix}").write_bytes(b"x" * rng.randrange(1, 4))

    def found() -> object:
        passed = Tally()
        return find(tmp_path, passed=passed), passed.records()

    together = found()
    with monkeypatch.context() as patched:
        patched.setattr(search, "known_paths", lambda *_: None)
        assert found() == together
    for number in range(40):
        folder = tmp_path / f"{number}"
        try:
            each = [span.path for span in find(folder)]
        except InvalidInput:
            continue
        suffixes_there = {path.suffix for path in folder.iterdir()}
        names = sorted(path.name for path in folder.iterdir())
        taken = known_paths(f"{folder}/", names, suffixes_there & {".txt", ".jsonl"})
        assert taken in (None, each)


@pytest.mark.parametrize("name", ["", ".a.txt", "_a.txt", "é.txt", "txt", "a", "a.md", "a.txt.gz"])
def test_other_names_are_left_to_the_search(name: str) -> None:
    assert known_paths("in/", ["a.txt"], {".txt"}) == ["in/a.txt"]
    assert known_paths("in/", ["a.txt", name], {".txt"}) is None
    assert known_paths("é/", ["a.txt"], {".txt"}) is None


def test_files_of_one_size_share_it(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}.txt").write_bytes(b"x" * (1000 + number % 2))
    assert len({id(span.size) for span in find(tmp_path)}) == 2
