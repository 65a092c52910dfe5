"""Benchmark reports show exactly what was measured."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from texts import ROOT

RUN = {"cpus": 2, "cpu": "a processor", "python": "3.12"}


def page_of(results: dict[str, dict[str, Any]], directory: Path) -> str:
    for name, result in results.items():
        (directory / f"{name}.json").write_text(json.dumps({**result, "run": RUN}))
    command = [sys.executable, str(ROOT / "benchmarks/report.py"), "--results", str(directory)]
    subprocess.run(command, check=True)
    return (directory / "figures.md").read_text(encoding="utf-8")


def test_page_shows_losses_and_reasons_for_missing_times(tmp_path):
    pytest.importorskip("matplotlib")
    side = {"process": 95.0, "first": 96.0, "later": 90.0, "mebibytes": 80.0}
    files = {
        "encoding": "r50k_base",
        "threads": 1,
        "gigatoken": {"process": 100.0, "first": 100.0, "later": 100.0, "mebibytes": 200.0},
        "fastprep": side,
        "times_faster": {"process": 0.95, "first": 0.96, "later": 0.9},
    }
    peers = {
        "encoding": "r50k_base",
        "threads": 1,
        "megabytes_per_second": {"fastprep, lists": {"cold": 50.0, "warm": 60.0}},
        "left_out": {"tokie": "other ids"},
    }
    results = {
        "files-mine": {"corpus": {"bytes": 10**6}, "how": "the first pass", "rows": [files]},
        "peers-mine": {
            "corpus": {"bytes": 10**6},
            "versions": {"tokie": "0.1.4", "gigatoken": None},
            "returns": {"fastprep, lists": "lists", "tokie": "objects"},
            "rows": [peers],
        },
    }
    page = page_of(results, tmp_path)
    assert "100 / 96 (0.96x)" in page
    assert "smallest 0.96x" in page
    assert "| tokie | other ids |" in page
    assert "gigatoken (not installed)" in page
    for name in ("files", "peers"):
        assert f"pictures/{name}.svg" in page
        assert (tmp_path / "pictures" / f"{name}.svg").read_text().count("<svg") == 1
    assert "growth" not in page  # not measured


def test_run_without_peers_has_a_page(tmp_path):
    pytest.importorskip("matplotlib")
    row = {"encoding": "r50k_base", "threads": 1}
    row["fastprep"] = {"process": 95.0, "first": 96.0, "later": 90.0, "mebibytes": 80.0}
    files = {"corpus": {"bytes": 10**6}, "how": "the first pass", "rows": [row]}
    page = page_of({"files-mine": files}, tmp_path)
    assert "| r50k_base, 1 | 96 |" in page
    assert "x)" not in page


@pytest.mark.parametrize("name", ["bench_prepare", "encode_child", "peers"])
def test_the_tables_that_peers_read_are_there(name, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module = importlib.import_module(name)
    assert (module.VOCABULARIES / "r50k_base.tiktoken").is_file()


def test_the_shapes_of_a_text_are_measured_to_their_end(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    bench_files = importlib.import_module("bench_files")
    found = bench_files.measure_shapes(b"Some text, of which the files are. " * 300, tmp_path, 1)
    assert found["small_files"] == 6
    assert found["tiny_documents"] == 263
    assert found["million_tiny_documents_per_cpu_second"] > 0
    assert set(found["long_document_times_its_size"]) == {"long.txt", "long.jsonl"}
    assert isinstance(found["microseconds_per_small_file"], float)


def test_trainers_are_listed_with_what_differs(tmp_path):
    rows = [
        {"trainer": "fastprep, lines", "threads": 1, "merges": 90, "cpu": 0.5, "peak_mib": 40.0},
        {
            "trainer": "gigabpe, lines",
            "threads": 1,
            "merges": 95,
            "cpu": 2.5,
            "peak_mib": 80.0,
            "same_merges": 70,
            "cpu_of_fastprep": 5.0,
            "peak_mib_of_fastprep": 2.0,
        },
    ]
    corpus = {"file": "prose.jsonl", "documents": 3, "bytes": 10_000_000, "seed": 1}
    result = {"vocab_size": 346, "corpus": corpus, "rows": rows}
    page = page_of({"train-prose": result}, tmp_path)
    assert "346 tokens, GPT-2's pattern; prose 10 MB" in page
    assert "| fastprep, lines | 1 | 0.50 s, 40 MiB |" in page
    assert "| 2.50 s, 80 MiB (5.0x, 2.0x); others from merge 71 on |" in page
    rows[1]["same_merges"] = 90
    assert "others from" not in page_of({"train-prose": result}, tmp_path)


def test_trainers_are_measured_in_turns(tmp_path):
    corpus = tmp_path / "a.txt"
    corpus.write_text("a text of a few words, which a vocabulary is trained on\n" * 20)
    output = tmp_path / "train-a.json"
    command = [sys.executable, str(ROOT / "benchmarks/bench_train.py"), "--corpus", str(corpus)]
    command += [
        "--vocab-size",
        "270",
        "--repeats",
        "1",
        "--threads",
        "1",
        "2",
        "--output",
        str(output),
    ]
    subprocess.run([*command, "--only", "fastprep, lines", "tokenizers, lines"], check=True)
    rows = json.loads(output.read_text())["rows"]
    assert [(row["trainer"], row["threads"]) for row in rows] == [
        ("fastprep, lines", 1),
        ("tokenizers, lines", 1),
        ("fastprep, lines", 2),
        ("tokenizers, lines", 2),
    ]
    assert all(row["same_merges"] == row["merges"] == 14 for row in rows)
    assert all(row["peak_mib"] > 1 for row in rows)
