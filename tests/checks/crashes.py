"""Interruptions of prepare at every step and at random moments, each resumed to the same bytes."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from checks import Found
from checks.disks import Counting, Failing, Killing, PowerCut
from fastprep.checks.verification import verify
from fastprep.errors import FastprepError
from fastprep.jobs.journal import Journal
from fastprep.jobs.output import find_manifests
from fastprep.jobs.prepare import prepare
from fastprep.store.reader import TokenStore
from fastprep.system import atomic, host

WORDS = ["tea", " the", "  spaces", "\n\n", "naïve", " 東京", "😀", " 1234", "'ll", "<|endoftext|>"]
# Exit codes of a child that was not killed.
_GOOD, _ERROR, _UNEXPECTED = 0, 3, 4


class Crash:
    """A small job, its expected output, and child processes that run it."""

    what = "prepare"

    def __init__(self, directory: Path, seed: int, documents: int, **settings: Any) -> None:
        rng = random.Random(seed)
        self.inputs = [directory / "a.jsonl", directory / "b.txt"]
        texts = ["".join(rng.choices(WORDS[:-1], k=rng.randint(1, 90))) for _ in range(documents)]
        half = documents // 2
        self.inputs[0].write_text(
            "".join(json.dumps({"text": text}) + "\n" for text in texts[:half])
        )
        self.inputs[1].write_text("<|endoftext|>".join(texts[half:]), newline="")
        self.settings = {"progress": False, "workers": 1, **settings}
        self.output = directory / "store"
        self.initial = directory / "initial"
        self.set_up()
        if self.output.exists():
            shutil.copytree(self.output, self.initial)
        self.old = tokens(self.output)
        prepare(self.inputs, self.output, **self.settings)
        self.expected, self.new = contents(self.output), tokens(self.output)
        self.remove_output()

    def set_up(self) -> None:
        """Make the output that the job starts from; by default there is none."""

    def run(self, before: Callable[[str, Path], object] | None = None, **settings: Any) -> int:
        """Run the job in a child process; return its exit code, negative for a signal."""
        child = self.start(before, **settings)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def start(self, before: Callable[[str, Path], object] | None = None, **settings: Any) -> int:
        """Start the job in a child process, and return its id."""
        with warnings.catch_warnings():
            # A warning that other threads are missing in the child, which does not need them.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child:
            return child
        code = _UNEXPECTED
        try:
            if before is not None:
                host.sync = lambda descriptor: None  # the step is announced all the same
                atomic.before = before
            prepare(self.inputs, self.output, **{**self.settings, **settings})
            code = _GOOD
        except (OSError, FastprepError):
            code = _ERROR
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def steps(self) -> int:
        """Count the steps of the job at which it can be interrupted."""
        counting = Counting()
        before, sync = atomic.before, host.sync
        try:
            atomic.before, host.sync = counting, lambda descriptor: None
            prepare(self.inputs, self.output, **self.settings)
        finally:
            atomic.before, host.sync = before, sync
        self.remove_output()
        return counting.steps

    def finished(self) -> dict[Path, int]:
        """Return the files of all shards that are recorded as finished, with their inode numbers."""
        # A shard of a job with drafts is finished when its documents are in order.
        ordered = {"shuffle", "validation_documents"} & {*self.settings}
        return {
            path: path.stat().st_ino
            for done in self.output.glob("*.ordered" if ordered else "*.done")
            for path in self.output.rglob(f"{done.stem}.bin")
        }

    def is_finished(self) -> bool:
        """Return whether nothing is left to do, except that locks may be left."""
        if self.initial.exists():
            return contents(self.output) == self.expected
        complete = bool(list(self.output.rglob("manifest.json")))
        return complete and not (self.output / "job.json").exists()

    def is_whole(self) -> bool:
        """Return whether each store here is the old or the new one, and none of one of them is missing.

        Raises InvalidStore for a damaged one.
        """
        has_manifest(self.output)
        found = tokens(self.output)
        known = all(
            each in (self.old.get(name), self.new.get(name)) for name, each in found.items()
        )
        return known and (found.keys() >= self.old.keys() or found.keys() >= self.new.keys())

    def lost(self) -> int:
        """Count the shards that were finished at the start, and were made again without a reason."""
        return 0

    def resumes(self, finished: dict[Path, int], **settings: Any) -> bool:
        """Return whether the same call now makes the expected bytes, and keeps all finished shards."""
        if self.run(Counting(), **settings) != _GOOD or contents(self.output) != self.expected:
            return False
        return all(path.stat().st_ino == number for path, number in finished.items())

    def remove_output(self) -> None:
        """Remove the output, or put back the one that the job starts from."""
        shutil.rmtree(self.output, ignore_errors=True)
        if self.initial.exists():
            shutil.copytree(self.initial, self.output)


class Appending(Crash):
    """A job that appends its second input to the store of the first one."""

    what = "append"

    def set_up(self) -> None:
        prepare(self.inputs[0], self.output, **self.settings)
        self.settings["append"] = True


class Replacing(Crash):
    """A job that replaces the store of another one, which has parts if the new one has none."""

    what = "overwrite"

    def set_up(self) -> None:
        other = self.inputs[0].with_name("other.txt")
        other.write_text("<|endoftext|>".join(f"another document, {i:03d}" for i in range(150)))
        parts = {"validation": 0.0 if self.settings.get("validation") else 0.4}
        prepare(other, self.output, **{**self.settings, **parts})
        self.settings["overwrite"] = True

    def finished(self) -> dict[Path, int]:
        """Return the places that the finished shards of the new store will have."""
        inner = self.output / "replacement"
        return {
            self.output / path.relative_to(inner): path.stat().st_ino
            for done in inner.glob("*.done")
            for path in inner.rglob(f"{done.stem}.bin")
        }


class Changing(Crash):
    """A job all of whose shards were finished when its first input was left out and the last changed."""

    what = "changed inputs"

    def set_up(self) -> None:
        first = self.inputs[0].with_name("0.txt")
        first.write_text("a document that is left out<|endoftext|>" * 100)
        inputs, self.inputs = self.inputs, [first, *self.inputs]
        self.run(_kill_before_the_manifest)
        self.inputs = inputs
        with self.inputs[1].open("a") as file:
            file.write("<|endoftext|>and one more")

    def finished(self) -> dict[Path, int]:
        return {}  # their numbers change; see `lost`

    def lost(self) -> int:
        """Count the shards of the unchanged input that were made again."""
        numbers = {path.stat().st_ino for path in self.output.rglob("*.bin")}
        return sum(number not in numbers for number in self.kept)

    def remove_output(self) -> None:
        super().remove_output()
        self.kept = {
            path.stat().st_ino
            for index, done in Journal(self.output).find_done().items()
            if done.records[0].inputs[0].path == str(self.inputs[0])
            for path in self.output.rglob(f"shard-{index:05d}.bin")
        }


def contents(output: Path) -> dict[str, bytes]:
    """Return the content of all files in a directory by name, except locks."""
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def _kill_before_the_manifest(step: str, path: Path) -> None:
    if path.name.startswith("manifest.json"):
        os.kill(os.getpid(), signal.SIGKILL)


def tokens(output: Path) -> dict[str, bytes]:
    """Return the ids of the store in an output, or of its parts."""
    return {
        path.parent.relative_to(output).as_posix(): TokenStore(path.parent)[:].tobytes()
        for path in (find_manifests(output) if output.exists() else ())
    }


def has_manifest(output: Path) -> bool:
    """Return whether there is a manifest; if there is, its store must pass verification."""
    manifests = list(output.rglob("manifest.json"))
    for manifest in manifests:
        verify(manifest.parent)
    return bool(manifests)


def crashes(seed: int, cases: int) -> Iterator[Found]:
    """Run all of these checks."""
    yield from at_every_step(seed, cases)
    yield from at_every_step(seed + 1, cases, validation=0.3, eot="prepend")
    for kind in (Appending, Replacing, Changing):
        yield from at_every_step(seed, cases, kind)
        yield from at_every_step(seed + 1, cases, kind, validation=0.3)
    yield from at_every_step(seed + 2, cases, shuffle=seed)
    yield from at_every_step(seed + 3, cases, shuffle=seed, validation_documents=5)
    yield from on_a_small_disk(seed, cases)
    yield from on_a_filling_disk(seed, cases)
    yield from at_random_moments(seed, cases)
    yield from at_random_moments(seed, cases, shuffle=seed)


def _named(settings: dict[str, Any]) -> str:
    return "".join(f" {name}={value}" for name, value in settings.items())


def at_every_step(
    seed: int, cases: int, job: type[Crash] = Crash, **settings: Any
) -> Iterator[Found]:
    """Interrupt a job by kills, power cuts and errors at every step, then once more as it resumes.

    With fewer `cases` than steps, interrupt it at that number of steps.
    """
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        crash = job(Path(name), seed, 24, shard_bytes=1500, **settings)
        steps = crash.steps()
        kinds: dict[str, Callable[[int], Callable[[str, Path], object]]] = {
            "kill -9": Killing,
            "power cut": lambda at: PowerCut(at, rng),
            "disk full, once": Failing,
            "disk full, permanently": lambda at: Failing(at, permanent=True),
            "I/O error, once": lambda at: Failing(at, errno.EIO),
            "I/O error, permanently": lambda at: Failing(at, errno.EIO, permanent=True),
        }
        for kind, disk in kinds.items():
            wrong = 0
            chosen = sorted(rng.sample(range(steps), min(cases, steps)))
            for at in chosen:
                code = crash.run(disk(at))
                wrong += code not in (-signal.SIGKILL, _ERROR, _GOOD)
                wrong += not crash.is_whole()
                if kind.endswith("once") and code == _ERROR:
                    wrong += any(crash.output.rglob("*.tmp"))
                if not crash.is_finished():
                    crash.run(disk(rng.randrange(steps)))  # interrupt the resumed job, too
                    wrong += not crash.is_whole()
                if not crash.is_finished():
                    wrong += not crash.resumes(crash.finished())
                wrong += contents(crash.output) != crash.expected
                if kind != "power cut":  # which puts files back as copies
                    wrong += crash.lost()
                crash.remove_output()
            yield Found(f"{crash.what}, {kind} at its {steps} steps", len(chosen), wrong)


def at_random_moments(
    seed: int, cases: int, documents: int = 400, **settings: Any
) -> Iterator[Found]:
    """Kill a job at random moments, on one thread and on several."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        crash = Crash(Path(name), seed, documents, shard_bytes=4000, **settings)
        began = time.perf_counter()
        crash.run(Counting(), workers=2)
        seconds = time.perf_counter() - began
        crash.remove_output()
        for workers in (1, 2, 3, 4):
            wrong = kills = kept = 0
            for _ in range(cases // 4):
                child = crash.start(Counting(), workers=workers)
                time.sleep(rng.random() * seconds)
                kills += _kill(child)
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                wrong += code not in (-signal.SIGKILL, _ERROR, _GOOD)
                has_manifest(crash.output)
                if crash.is_finished():
                    wrong += contents(crash.output) != crash.expected
                else:
                    finished = crash.finished()
                    kept += len(finished)
                    wrong += not crash.resumes(finished, workers=workers)
                crash.remove_output()
            yield Found(
                f"prepare{_named(settings)} on {workers} threads, kill -9 at random moments",
                cases // 4,
                wrong,
                {"killed": kills, "finished_shards_kept": kept},
            )


def _kill(child: int) -> bool:
    """Kill a process, and return whether it was still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
        return True
    return False


def on_a_small_disk(seed: int, cases: int) -> Iterator[Found]:
    """Run jobs with limited file sizes (RLIMIT_FSIZE), and on small disks that fill up."""
    with tempfile.TemporaryDirectory() as name:
        crash = Crash(Path(name), seed, 200, shard_bytes=8000)
        limits = [*range(0, 6000, 500), 20_000][:cases]
        wrong = 0
        for limit in limits:

            def limited(step: str, path: Path, limit: int = limit) -> None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

            wrong += _is_wrong_after(crash, crash.run(limited))
            crash.remove_output()
        yield Found("prepare, files of limited size", len(limits), wrong)
        pages = range(1, 24)[:cases]
        if (wrong := _wrong_on_pages(crash, pages)) is not None:
            yield Found("prepare, a tmpfs of 1 to 23 pages", len(pages), wrong)


def on_a_filling_disk(seed: int, cases: int, documents: int = 20_000) -> Iterator[Found]:
    """Run a job of several workers on disks that fill up at a random point; a tenth of the cases."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        crash = Crash(Path(name), seed, documents, shard_bytes=250_000)
        crash.settings["workers"] = 2
        max_pages = 1 + sum(map(len, crash.expected.values())) // 4096
        pages = sorted(rng.sample(range(1, max_pages), min(cases // 10, max_pages - 1)))
        if pages and (wrong := _wrong_on_pages(crash, pages)) is not None:
            yield Found(
                f"prepare with 2 workers, a tmpfs of 1 to {max_pages - 1} pages",
                len(pages),
                wrong,
                {"shards": len(crash.expected) // 2},
            )


def _wrong_on_pages(crash: Crash, pages: Sequence[int]) -> int | None:
    """Count the disks, of these numbers of pages, on which anything is wrong; None if mount fails."""
    crash.output.mkdir()
    wrong = 0
    for count in pages:
        with _small_disk(crash.output, 4096 * count) as mounted:
            if not mounted:
                return None
            code = crash.run()
            wrong += code not in (_ERROR, _GOOD) or (code == _ERROR and has_manifest(crash.output))
            subprocess.run(["mount", "-o", "remount,size=64m", crash.output], check=True)
            wrong += _is_wrong_after(crash, code)
    return wrong


def _is_wrong_after(crash: Crash, code: int) -> bool:
    """Return whether anything is wrong after a run on a small disk that has been enlarged."""
    wrong = code not in (_ERROR, _GOOD) or any(crash.output.rglob("*.tmp"))
    if code == _ERROR:
        wrong |= has_manifest(crash.output) or not crash.resumes(crash.finished())
    return wrong or contents(crash.output) != crash.expected


@contextlib.contextmanager
def _small_disk(path: Path, size: int) -> Iterator[bool]:
    """Mount a file system of `size` bytes at a path; yield False if that is not permitted."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "fastprep-test", path]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", path], check=True)
