"""prepare, ended at every step and at random moments: the same call goes on, to the same bytes."""

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
from fastprep.jobs.prepare import prepare
from fastprep.system import atomic

WORDS = ["tea", " the", "  spaces", "\n\n", "naïve", " 東京", "😀", " 1234", "'ll", "<|endoftext|>"]
# How a child of this process ended that was not killed.
_GOOD, _ERROR, _SURPRISE = 0, 3, 4


class Crash:
    """A small job, what it should make, and children of this process that run it."""

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
        prepare(self.inputs, self.output, **self.settings)
        self.expected = contents(self.output)
        shutil.rmtree(self.output)

    def run(self, before: Callable[[str, Path], object] | None = None, **settings: Any) -> int:
        """Run the job in a child; its exit code, negative for a signal."""
        child = self.start(before, **settings)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        _await_group(child)
        return code

    def start(self, before: Callable[[str, Path], object] | None = None, **settings: Any) -> int:
        """Start the job in a child, in a process group of its own; its id."""
        with warnings.catch_warnings():
            # Of other threads, which only the child that execs nothing would mind: it needs none.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child:
            return child
        code = _SURPRISE
        try:
            os.setpgid(0, 0)
            if before is not None:
                atomic._sync = lambda descriptor: None  # it is announced, and costs only time
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
        """How many steps the job takes that an interrupted one could stop at."""
        counting = Counting()
        before, sync = atomic.before, atomic._sync
        try:
            atomic.before, atomic._sync = counting, lambda descriptor: None
            prepare(self.inputs, self.output, **self.settings)
        finally:
            atomic.before, atomic._sync = before, sync
        self.forget()
        return counting.steps

    def finished(self) -> dict[Path, int]:
        """The files of the shards that are noted as finished, and which files they are."""
        return {
            path: path.stat().st_ino
            for done in self.output.glob("*.done")
            for path in self.output.rglob(f"{done.stem}.bin")
        }

    def is_finished(self) -> bool:
        """Whether nothing is left to do but to remove locks, which nobody needs to."""
        whole = bool(list(self.output.rglob("manifest.json")))
        return whole and not (self.output / "job.json").exists()

    def goes_on(self, finished: dict[Path, int], **settings: Any) -> bool:
        """Whether the same call now ends in the expected bytes, with no finished shard made again."""
        if self.run(Counting(), **settings) != _GOOD or contents(self.output) != self.expected:
            return False
        return all(path.stat().st_ino == number for path, number in finished.items())

    def forget(self) -> None:
        """Remove the output."""
        shutil.rmtree(self.output, ignore_errors=True)


def contents(output: Path) -> dict[str, bytes]:
    """All that is in a directory, by name, but for locks, which nobody holds any more."""
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def looks_whole(output: Path) -> bool:
    """Whether there is a manifest; if there is, all that it speaks of must be right."""
    manifests = list(output.rglob("manifest.json"))
    for manifest in manifests:
        verify(manifest.parent)
    return bool(manifests)


def crashes(seed: int, cases: int) -> Iterator[Found]:
    """All of them."""
    yield from at_every_step(seed, cases)
    yield from at_every_step(seed + 1, cases, validation=0.3, eot="prepend")
    yield from on_a_small_disk(seed, cases)
    yield from on_a_filling_disk(seed, cases)
    yield from at_random_moments(seed, cases)


def at_every_step(seed: int, cases: int, **settings: Any) -> Iterator[Found]:
    """Kills, power cuts and errors at every step of a job, and then at one of what goes on with it.

    With fewer `cases` than steps, at so many of them.
    """
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        crash = Crash(Path(name), seed, 24, shard_bytes=1500, **settings)
        steps = crash.steps()
        kinds: dict[str, Callable[[int], Callable[[str, Path], object]]] = {
            "kill -9": Killing,
            "power cut": lambda at: PowerCut(at, rng),
            "disk full, once": Failing,
            "disk full, for ever": lambda at: Failing(at, for_ever=True),
            "I/O error, once": lambda at: Failing(at, errno.EIO),
            "I/O error, for ever": lambda at: Failing(at, errno.EIO, for_ever=True),
        }
        for kind, disk in kinds.items():
            wrong = 0
            chosen = sorted(rng.sample(range(steps), min(cases, steps)))
            for at in chosen:
                code = crash.run(disk(at))
                wrong += code not in (-signal.SIGKILL, _ERROR, _GOOD)
                looks_whole(crash.output)
                if kind.endswith("once") and code == _ERROR:
                    wrong += any(crash.output.rglob("*.tmp"))
                if not crash.is_finished():
                    crash.run(disk(rng.randrange(steps)))  # and once more on the way
                    looks_whole(crash.output)
                if not crash.is_finished():
                    wrong += not crash.goes_on(crash.finished())
                wrong += contents(crash.output) != crash.expected
                crash.forget()
            yield Found(f"prepare, {kind} at its {steps} steps", len(chosen), wrong)


def at_random_moments(seed: int, cases: int, documents: int = 400) -> Iterator[Found]:
    """Kills of the process at any moment, with one thread and with several."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        crash = Crash(Path(name), seed, documents, shard_bytes=4000)
        began = time.perf_counter()
        crash.run(Counting(), workers=2)
        seconds = time.perf_counter() - began
        crash.forget()
        for workers in (1, 2, 3, 4):
            wrong = kills = kept = 0
            for _ in range(cases // 4):
                child = crash.start(Counting(), workers=workers)
                time.sleep(rng.random() * seconds)
                kills += _kill(child)
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                wrong += code not in (-signal.SIGKILL, _ERROR, _GOOD)
                looks_whole(crash.output)
                if crash.is_finished():
                    wrong += contents(crash.output) != crash.expected
                else:
                    _await_group(child)
                    finished = crash.finished()
                    kept += len(finished)
                    wrong += not crash.goes_on(finished, workers=workers)
                crash.forget()
            yield Found(
                f"prepare on {workers} threads, kill -9 at random moments",
                cases // 4,
                wrong,
                {"killed": kills, "finished_shards_kept": kept},
            )


def _kill(child: int) -> bool:
    """Kill; whether there was something to kill."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
        return True
    return False


def _await_group(group: int) -> None:
    """Wait until nobody of a process group is left."""
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.killpg(group, 0)
            time.sleep(0.001)


def on_a_small_disk(seed: int, cases: int) -> Iterator[Found]:
    """Files that may not grow beyond a size, by the system's own limit; a disk that is really full."""
    with tempfile.TemporaryDirectory() as name:
        crash = Crash(Path(name), seed, 200, shard_bytes=8000)
        limits = [*range(0, 6000, 500), 20_000][:cases]
        wrong = 0
        for limit in limits:

            def limited(step: str, path: Path, limit: int = limit) -> None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

            wrong += _goes_on_after(crash, crash.run(limited))
            crash.forget()
        yield Found("prepare, files of limited size", len(limits), wrong)
        pages = range(1, 24)[:cases]
        if (wrong := _wrong_on_pages(crash, pages)) is not None:
            yield Found("prepare, a tmpfs of 1 to 23 pages", len(pages), wrong)


def on_a_filling_disk(seed: int, cases: int, documents: int = 20_000) -> Iterator[Found]:
    """A disk that is really full at any place of a job of several workers; a tenth of the cases."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        crash = Crash(Path(name), seed, documents, shard_bytes=250_000)
        crash.settings["workers"] = 2
        most = 1 + sum(map(len, crash.expected.values())) // 4096
        pages = sorted(rng.sample(range(1, most), min(cases // 10, most - 1)))
        if pages and (wrong := _wrong_on_pages(crash, pages)) is not None:
            yield Found(
                f"prepare with 2 workers, a tmpfs of 1 to {most - 1} pages",
                len(pages),
                wrong,
                {"shards": len(crash.expected) // 2},
            )


def _wrong_on_pages(crash: Crash, pages: Sequence[int]) -> int | None:
    """On how many disks of so many pages anything is wrong; None where nobody may mount one."""
    crash.output.mkdir()
    wrong = 0
    for count in pages:
        with _small_disk(crash.output, 4096 * count) as mounted:
            if not mounted:
                return None
            code = crash.run()
            wrong += code not in (_ERROR, _GOOD) or (code == _ERROR and looks_whole(crash.output))
            subprocess.run(["mount", "-o", "remount,size=64m", crash.output], check=True)
            wrong += _goes_on_after(crash, code)
    return wrong


def _goes_on_after(crash: Crash, code: int) -> bool:
    """Whether anything is wrong after a run on a small disk that has become large."""
    wrong = code not in (_ERROR, _GOOD) or any(crash.output.rglob("*.tmp"))
    if code == _ERROR:
        wrong |= looks_whole(crash.output) or not crash.goes_on(crash.finished())
    return wrong or contents(crash.output) != crash.expected


@contextlib.contextmanager
def _small_disk(path: Path, size: int) -> Iterator[bool]:
    """A file system of so many bytes at a path; False where nobody may mount one."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "fastprep-test", path]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", path], check=True)
