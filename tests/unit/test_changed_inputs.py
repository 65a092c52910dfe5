"""Jobs whose inputs are changed before they are finished: what has not changed is kept."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastprep.checks.verification import verify
from fastprep.cli.main import main
from fastprep.corpus.documents import Format, Span
from fastprep.corpus.plan import default_shard_bytes, plan, task_bytes
from fastprep.errors import DamagedInput, InvalidInput, InvalidStore, OtherJob, StoreExists
from fastprep.jobs.journal import Journal
from fastprep.jobs.prepare import merge_tasks, prepare
from fastprep.store.reader import TokenStore

SETTINGS: dict[str, Any] = {"workers": 1, "shard_bytes": 1000, "progress": False}


@pytest.fixture
def corpus(tmp_path: Path) -> list[Path]:
    """Return a large file, small ones that share shards, and another large one."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(12):
        lines = 60 if number in (0, 8) else 7 + number % 3
        write(folder / f"{number:02}.jsonl", [f"document {number} {n}" for n in range(lines)])
    return sorted(folder.iterdir())


def write(path: Path, texts: list[str]) -> None:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def contents(output: Path) -> dict[str, bytes]:
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file()
    }


def unfinished(corpus: list[Path], output: Path, **settings: Any) -> dict[str, int]:
    """Leave all shards but one finished; return the inode of each by the inputs it was made from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastprep.jobs.run.seal", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prepare(corpus, output, **{**SETTINGS, **settings})
    max(output.glob("*.done")).unlink()
    return made_from(output)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def made_from(output: Path) -> dict[str, int]:
    found = {}
    for index, done in Journal(output).find_done().items():
        (path,) = output.glob(f"shard-{index:05d}.bin")
        found[repr(done.records[0].inputs)] = path.stat().st_ino
    return found


def resume(corpus: list[Path], output: Path, **settings: Any) -> list[dict[str, Any]]:
    logged: list[dict[str, Any]] = []
    prepare(corpus, output, **{**SETTINGS, **settings}, log=logged.append)
    return logged


def longer(corpus: list[Path]) -> list[Path]:
    write(corpus[3], ["a line more", *(f"document 3 {n}" for n in range(7))])
    return corpus


def shorter(corpus: list[Path]) -> list[Path]:
    write(corpus[8], ["short"])
    return corpus


def mended(corpus: list[Path]) -> list[Path]:
    text = corpus[0].read_text().splitlines(keepends=True)
    corpus[0].write_text("".join([*text[:30], '{"text": "another length"}\n', *text[31:]]))
    return corpus


def left_out(corpus: list[Path]) -> list[Path]:
    return [*corpus[:4], *corpus[5:]]


def large_left_out(corpus: list[Path]) -> list[Path]:
    return corpus[1:]


def added(corpus: list[Path]) -> list[Path]:
    write(corpus[0].with_name("03b.jsonl"), ["one", "two"])
    return [*corpus[:4], corpus[0].with_name("03b.jsonl"), *corpus[4:]]


def reordered(corpus: list[Path]) -> list[Path]:
    return [corpus[8], *corpus[:8], *corpus[9:]]


def many(corpus: list[Path]) -> list[Path]:
    return reordered(left_out(longer(mended(corpus))))


CHANGES = [longer, shorter, mended, left_out, large_left_out, added, reordered, many]


@pytest.mark.parametrize("settings", [{}, {"validation": 0.3}], ids=["one", "parts"])
@pytest.mark.parametrize("change", CHANGES)
def test_changed_inputs_keep_the_other_shards_and_make_the_bytes_of_a_fresh_job(
    corpus: list[Path],
    tmp_path: Path,
    change: Callable[[list[Path]], list[Path]],
    settings: dict[str, Any],
) -> None:
    output = tmp_path / "store"
    if settings:
        prepare(corpus, output, **SETTINGS, **settings, task=(0, 2))
        before = {}
    else:
        before = unfinished(corpus, output)
    sizes = {path: path.stat().st_size for path in corpus}
    inputs = change(corpus)
    logged = resume(inputs, output, **settings)
    prepare(inputs, tmp_path / "fresh", **SETTINGS, **settings)
    assert contents(output) == contents(tmp_path / "fresh")
    # Every shard of inputs that are as before is the same file.
    changed = {path for path in sizes if path in inputs and path.stat().st_size != sizes[path]}
    changed |= set(sizes) ^ set(inputs)
    store = TokenStore(output / "train" if settings else output)
    shards = {repr(record.inputs): n for n, record in enumerate(store.manifest.shards)}
    kept = before.keys() & shards.keys()
    for key in kept:
        assert store.shard_files[shards[key]].stat().st_ino == before[key]
    lost = [key for key in before if not any(str(path) in key for path in changed)]
    if change is not reordered and change is not many:
        assert len([key for key in lost if key not in kept]) <= 2, "next to the change"
    # What was made again is named, and why.
    said = [event["change"] for event in logged if event["event"] == "changed"]
    assert len(said) == len(changed) or change is reordered or change is many
    redone = {event["shard"]: event["reason"] for event in logged if event["event"] == "redone"}
    done = {event["shard"] for event in logged if event["event"] == "task done"}
    assert redone.keys() <= done
    assert all(".jsonl" in reason or "divided" in reason for reason in redone.values())
    if not settings:
        assert len(done) == len(shards) - len(kept)


def test_a_truncated_file_that_is_replaced_goes_on(corpus: list[Path], tmp_path: Path) -> None:
    import gzip

    whole = gzip.compress(b'{"text": "words"}\n' * 500)
    packed = corpus[5].with_name("05.jsonl.gz")
    packed.write_bytes(whole[:-20])
    inputs = [*corpus[:5], packed, *corpus[6:]]
    with pytest.raises(DamagedInput):
        prepare(inputs, tmp_path / "store", **SETTINGS)
    finished = made_from(tmp_path / "store")
    assert finished
    packed.write_bytes(whole)
    resume(inputs, tmp_path / "store")
    store = TokenStore(tmp_path / "store")
    assert {path.stat().st_ino for path in store.shard_files} >= set(finished.values())
    prepare(inputs, tmp_path / "fresh", **SETTINGS)
    assert contents(tmp_path / "store") == contents(tmp_path / "fresh")


def test_files_of_shards_that_the_new_plan_does_not_have_are_removed(
    corpus: list[Path], tmp_path: Path
) -> None:
    output = tmp_path / "store"
    unfinished(corpus, output)
    # The last one is written, but not recorded.
    assert len(list(output.glob("*.bin"))) == len(list(output.glob("*.done"))) + 1
    resume(corpus[:9], output)
    prepare(corpus[:9], tmp_path / "fresh", **SETTINGS)
    assert contents(output) == contents(tmp_path / "fresh")


def test_the_only_input_may_be_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, output = tmp_path / "a.jsonl", tmp_path / "store"
    path.write_text('{"text": "words"}\n' * 200 + "broken\n")
    command = ["prepare", str(path), "-o", str(output), "--shard-bytes", "500", "--workers", "1"]
    assert main(command) == 1
    assert list(output.glob("*.done"))
    size = path.stat().st_size
    path.write_text('{"text": "words"}\n' * 200)
    capsys.readouterr()
    assert main(command) == 0
    shown = capsys.readouterr().err
    assert f"{path} had {size} bytes and has {size - 7}" in shown
    assert "shard 0 is made again" in shown
    verify(output, against="tiktoken")


def test_default_size_of_shards_is_that_of_the_unfinished_work(
    corpus: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"workers": 1, "progress": False}
    monkeypatch.setattr("fastprep.corpus.plan._MIN_SHARD_BYTES", 1000)
    prepare(corpus, tmp_path / "store", **settings, task=(0, 2))
    monkeypatch.setattr("fastprep.corpus.plan._MIN_SHARD_BYTES", 2000)
    store = prepare(longer(corpus), tmp_path / "store", **settings)
    assert store.manifest.shard_bytes == 1000
    prepare(corpus, tmp_path / "same", **settings, shard_bytes=1000)
    assert contents(tmp_path / "store") == contents(tmp_path / "same")
    # Of work that is thrown away nothing is taken over.
    prepare(corpus, tmp_path / "other", **SETTINGS, task=(0, 2))
    other = prepare(
        corpus, tmp_path / "other", **settings, field="text", eot="none", overwrite=True
    )
    assert other.manifest.shard_bytes == 2000


def test_a_small_change_does_not_change_the_default_size() -> None:
    def size(total: int) -> int:
        return default_shard_bytes([Span("a.txt", 0, total, total)])

    gigabytes = [size(number << 30) >> 20 for number in (0, 1, 2, 3, 8, 9, 100)]
    assert gigabytes == [8, 16, 32, 32, 128, 128, 256]
    assert size(9 << 30) == size((9 << 30) + 12345)


def test_tasks_change_the_plan_once_and_alone(corpus: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "store"
    prepare(corpus, output, **SETTINGS, task=(0, 3))
    inputs = longer(left_out(corpus))
    logged: list[dict[str, Any]] = []
    for number in (2, 1):
        prepare(inputs, output, **SETTINGS, task=(number, 3), log=logged.append)
    assert sum(event["event"] == "changed" for event in logged) == 2
    assert prepare(inputs, output, **SETTINGS, task=(0, 3)) is not None
    assert merge_tasks(output).num_tokens
    prepare(inputs, tmp_path / "fresh", **SETTINGS)
    assert contents(output) == contents(tmp_path / "fresh")


@pytest.mark.parametrize("stop", range(0, 60, 7))
def test_an_interrupted_change_is_completed(
    corpus: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    output = tmp_path / "store"
    before = unfinished(corpus, output)
    inputs = many(corpus)
    left = [stop]

    def interrupt(step: str, path: Path) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fastprep.system.atomic.before", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prepare(inputs, output, **SETTINGS)
    resume(inputs, output)
    prepare(inputs, tmp_path / "fresh", **SETTINGS)
    assert contents(output) == contents(tmp_path / "fresh")
    store = TokenStore(output)
    for record, path in zip(store.manifest.shards, store.shard_files, strict=True):
        assert path.stat().st_ino == before.get(repr(record.inputs), path.stat().st_ino)


def test_a_job_that_is_sealed_in_one_part_is_finished_before_inputs_may_change(
    corpus: list[Path], tmp_path: Path
) -> None:
    settings = {**SETTINGS, "validation": 0.4}

    def stop(step: str, path: Path) -> None:
        if step == "rename" and path == tmp_path / "store" / "train" / "manifest.json":
            raise KeyboardInterrupt

    prepare(corpus, tmp_path / "fresh", **settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastprep.system.atomic.before", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare(corpus, tmp_path / "store", **settings)
    with pytest.raises(StoreExists, match=r"00\.jsonl is no longer an input"):
        prepare(corpus[1:], tmp_path / "store", **settings)
    assert contents(tmp_path / "store") == contents(tmp_path / "fresh")


def test_inputs_without_any_in_common_are_another_job(corpus: list[Path], tmp_path: Path) -> None:
    unfinished(corpus[:6], tmp_path / "store")
    before = contents(tmp_path / "store")
    with pytest.raises(OtherJob, match=r"00\.jsonl is no longer an input"):
        prepare(corpus[6:], tmp_path / "store", **SETTINGS)
    assert contents(tmp_path / "store") == before


def test_unfinished_work_of_the_first_version_is_resumed(
    corpus: list[Path], tmp_path: Path
) -> None:
    output = tmp_path / "store"
    before = unfinished(corpus, output)
    job = json.loads((output / "job.json").read_text())
    for name in ("first_shard", "base", "moves", "phase"):
        del job[name]
    (output / "job.json").write_text(json.dumps({**job, "version": 1}))
    # As that version would have named the shards.
    for kind in ("bin", "ends", "done"):
        (output / f"shard-00001.{kind}").rename(output / f"shard-00031.{kind}")
    resume(corpus, output)
    prepare(corpus, tmp_path / "fresh", **SETTINGS)
    assert contents(output) == contents(tmp_path / "fresh")
    assert {path.stat().st_ino for path in output.glob("*.bin")} >= set(before.values())
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "job.json").write_text(json.dumps({**job, "version": 3}))
    with pytest.raises(InvalidStore, match=r"job\.json: damaged, or of another version"):
        prepare(corpus, tmp_path / "new", **SETTINGS)


def test_an_empty_input_is_still_an_error(corpus: list[Path], tmp_path: Path) -> None:
    unfinished(corpus, tmp_path / "store")
    corpus[3].write_text("")
    with pytest.raises(InvalidInput, match=r"03\.jsonl: an empty file"):
        prepare(corpus, tmp_path / "store", **SETTINGS)


def test_a_change_moves_only_the_borders_next_to_it() -> None:
    rng = random.Random(5)
    for _ in range(300):
        sizes = [rng.randrange(40) for _ in range(rng.randint(2, 40))]
        files = [Span(f"{rng.random()}.gz", 0, size, size) for size in sizes]
        place = rng.randrange(len(files))
        size = rng.randrange(120)
        changed = [
            [*files[:place], *files[place + 1 :]],
            [*files[:place], Span(files[place].path, 0, size, size), *files[place + 1 :]],
            [*files[:place], Span(f"{rng.random()}.txt", 0, size, size), *files[place:]],
        ]
        tasks = plan(files, Format(), shard_bytes=100)
        for after in changed:
            new = {*plan(after, Format(), shard_bytes=100)} - {*tasks}
            assert sum(map(task_bytes, new)) <= 400 + size


def test_names_without_their_folders_decide_the_borders() -> None:
    def borders(folder: str) -> list[int]:
        files = [Span(f"{folder}/{n % 7}/part-{n // 7}.gz", 0, 9, 9) for n in range(70)]
        return [len(task) for task in plan(files, Format(), shard_bytes=30)]

    assert borders("a") == borders("/somewhere/else") != [1] * 70
