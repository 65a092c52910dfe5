"""The progress bar: its fields, and its accuracy for compressed inputs."""

from __future__ import annotations

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
from pathlib import Path

import pytest

from fastprep.cli.main import main
from fastprep.corpus.documents import Format, Span
from fastprep.corpus.sources import whole
from fastprep.jobs.prepare import prepare
from fastprep.jobs.progress import Reporter
from fastprep.jobs.task import TaskCounter

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
zstandard = pytest.importorskip("zstandard")


def test_bar_shows_all_its_fields_in_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastprep.jobs.progress._UPDATE_SECONDS", 0.0)
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 80, 0, 0))
    task = (Span("a.txt", 0, 444_000_000, 448_000_000),)
    counters = {0: TaskCounter(222_000_000, 40_224, 173_548_240)}
    with os.fdopen(terminal, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with Reporter({0: task}, 4_000_000, counters, None, None, Format()) as reporter:
            reporter._start -= 8.0
            reporter.tick()
        shown = os.read(screen, 1 << 16).decode()
    os.close(screen)
    line = shown.rstrip().rpartition("\r")[2]
    assert re.fullmatch(
        r" 50%.+ 448MB, .+B/s, \d\d:\d\d left, 40.2k documents, 174M tokens, .+M tokens/s", line
    )
    assert len(line) <= 80


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
    with Reporter({0: (span,)}, 0, counters, True, None, Format()) as reporter:
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
