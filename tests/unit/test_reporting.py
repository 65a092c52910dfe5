"""The progress bar: its fields, and its accuracy for compressed inputs."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import io
import json
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastprep.cli.main import main
from fastprep.corpus.documents import Format, Span
from fastprep.corpus.sources import whole
from fastprep.jobs.prepare import prepare
from fastprep.jobs.progress import Earlier, Reporter
from fastprep.jobs.task import TaskCounter
from fastprep.terminal import EscapingStream

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
zstandard = pytest.importorskip("zstandard")


class Terminal:
    """A pseudo-terminal as standard error, read until what is expected is there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
        self._ours, self._theirs = pty.openpty()
        self.resize(columns)
        self.stream = os.fdopen(self._theirs, "w")
        monkeypatch.setattr(sys, "stderr", EscapingStream(self.stream))

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))

    def read(self) -> str:
        """Return what has been written, however many reads that takes."""
        self.stream.write("\x00")
        self.stream.flush()
        found = b""
        while not found.endswith(b"\x00"):
            found += os.read(self._ours, 1 << 16)
        return found[:-1].decode()

    def close(self) -> None:
        self.stream.close()
        os.close(self._ours)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Terminal]]:
    """Yield a function that makes standard error a terminal of a width."""
    monkeypatch.setattr("fastprep.jobs.progress._UPDATE_SECONDS", 0.0)
    with contextlib.ExitStack() as stack:

        def make(columns: int) -> Terminal:
            # In the test itself: between fixtures and test pytest sets the stream to its own.
            return stack.enter_context(contextlib.closing(Terminal(monkeypatch, columns)))

        yield make


TASK = (Span("a.txt", 0, 444_000_000, 448_000_000),)
FIELDS = (
    r" 50%.+ 226M/448MB, .+MB/s, \d\d:\d\d left, 3/4 shards, .+M tokens/s(, 174M tokens(, 40.2k "
    "documents)?)?"
)


def test_bar_shows_all_its_fields_in_80_columns(terminal: Callable[[int], Terminal]) -> None:
    screen = terminal(80)
    counters = {3: TaskCounter(222_000_000, 40_224, 173_548_240)}
    with Reporter({3: TASK}, Earlier(3, 4_000_000), counters, None, None, Format()) as reporter:
        reporter._start -= 8.0
        reporter.tick()
    line = screen.read().rstrip().rpartition("\r")[2]
    assert re.fullmatch(FIELDS, line)
    assert len(line) < 80


def test_bar_follows_the_size_of_the_terminal(terminal: Callable[[int], Terminal]) -> None:
    screen = terminal(80)
    counters = {3: TaskCounter(222_000_000, 40_224, 173_548_240)}
    with Reporter({3: TASK}, Earlier(3, 4_000_000), counters, None, None, Format()) as reporter:
        reporter._start -= 8.0
        for columns in (80, 132, 40, 9, 1, 60, 200):
            screen.resize(columns)
            reporter.tick()
            shown = screen.read()
            assert not {"\n", "\\"} & set(shown)
            # No line that would wrap, also not of the spaces that remove the one before.
            assert max(map(len, shown.split("\r"))) < max(columns, 2)
            line = shown.rstrip().rpartition("\r")[2]
            assert (", 3/4 shards" in line) == (columns >= 60)
            assert ("40.2k documents" in line) == (columns >= 132)
            assert ("226M/448MB" in line) == (columns >= 40)


def test_bar_of_a_resumed_job_counts_the_whole_job_and_the_speed_of_this_run(
    terminal: Callable[[int], Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reporter, "_seconds", lambda _: 1000.0)
    screen = terminal(200)
    earlier = Earlier(3, 448_000_000, 1_000_000, 100_000_000)
    counters = {3: TaskCounter(222_000_000, 1_000_000, 60_000_000)}
    with Reporter({3: TASK}, earlier, counters, None, None, Format()) as reporter:
        reporter.tick()
    line = screen.read().rstrip().rpartition("\r")[2]
    # 222 MB and 60 million tokens in 1000 seconds, and as much is left.
    assert line.startswith(" 75%")
    assert line.endswith(
        " 670M/892MB, 222kB/s, 16:40 left, 3/4 shards, 60.0k tokens/s, 160M tokens, 2.00M documents"
    )


def test_earlier_runs_are_counted_by_their_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("One.<|endoftext|>Two.<|endoftext|>Three.")

    def stop(event: dict[str, object]) -> None:
        if event["event"] == "task done":
            raise KeyboardInterrupt

    settings = {"shard_bytes": 10, "workers": 1, "progress": False}
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "a.txt", tmp_path / "store", log=stop, **settings)
    events: list[dict[str, object]] = []
    made: list[Earlier] = []
    monkeypatch.setattr(
        "fastprep.jobs.progress.Earlier.of",
        lambda *given, of=Earlier.of: made.append(of(*given)) or made[0],
    )
    store = prepare(tmp_path / "a.txt", tmp_path / "store", log=events.append, **settings)
    (resumed,) = (event for event in events if event["event"] == "resumed")
    (finished,) = (event for event in events if event["event"] == "finished")
    assert made[0].shards == resumed["shards_finished"] > 0
    assert made[0].bytes == resumed["bytes_finished"]
    assert made[0].bytes + finished["bytes"] == (tmp_path / "a.txt").stat().st_size
    assert made[0].documents + finished["documents"] == store.num_documents
    assert made[0].tokens + finished["tokens"] == store.num_tokens


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst", ".parquet"])
def test_bar_of_compressed_inputs_is_not_full_before_they_are_read(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastprep.jobs.progress._UPDATE_SECONDS", 0.0)
    texts = [f"This is document {number}, much like all others." for number in range(20_000)]
    content = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
    path = tmp_path / f"a{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table({"text": texts}), path)
    elif suffix == ".jsonl.gz":
        path.write_bytes(gzip.compress(content))
    else:
        path.write_bytes(zstandard.compress(content))
    span = whole(path)
    size = sum(map(len, texts))
    assert span.size < size / 3
    counters = {0: TaskCounter(size // 2, 10_000, 100_000)}
    with Reporter({0: (span,)}, Earlier(), counters, True, None, Format()) as reporter:
        reporter.tick()
        read, *_ = reporter._totals()
    assert 0.3 < read / span.size < 0.6


def test_verify_shows_a_bar_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fastprep.cli.verify._SECONDS_BEFORE_BAR", 0.0)
    (tmp_path / "a.txt").write_text("One.<|endoftext|>Two.")
    store = prepare(tmp_path / "a.txt", tmp_path / "store", progress=False)
    command = ["verify", str(store.path)]
    assert main(command) == 0
    assert capsys.readouterr().err == ""
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen)
    assert main([*command, "--quiet"]) == 0
    assert screen.getvalue() == ""
    assert main(command) == 0
    assert "/28.0 " in screen.getvalue()  # six ids of two bytes, two ends of eight
    assert capsys.readouterr().out.count("good: 6 tokens, 2 documents") == 1  # none with --quiet
