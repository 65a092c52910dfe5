"""prepare on a Ray cluster of two machines: equal bytes, typed errors, and the loss of a machine."""

from __future__ import annotations

import json
import os
import random
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastprep.cli.main import main
from fastprep.errors import InvalidUtf8
from fastprep.jobs.prepare import prepare

ray = pytest.importorskip("ray", reason="ray is not installed")

# Warnings about files that Ray leaves open, and about its own dependencies.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SETTINGS: dict[str, Any] = {"shard_bytes": 3000, "progress": False}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Start two machines of two CPUs each, simulated by two sets of processes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster

        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
        made.add_node(num_cpus=2)
        made.wait_for_nodes()
        ray.init(address=made.address, log_to_driver=False)
        yield made
        ray.shutdown()
        made.shutdown()


@pytest.fixture
def corpus(tmp_path: Path) -> list[Path]:
    rng = random.Random(9)
    texts = ["".join(rng.choices(["tea", " the", "\n", " 東京", " 12"], k=90)) for _ in range(80)]
    (tmp_path / "a.txt").write_text("<|endoftext|>".join(texts[:40]), newline="")
    (tmp_path / "b.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts[40:]))
    return [tmp_path / "a.txt", tmp_path / "b.jsonl"]


def contents(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(output.iterdir())}


def test_two_machines_make_the_same_bytes(cluster: Any, corpus: list[Path], tmp_path: Path) -> None:
    assert len([node for node in ray.nodes() if node["Alive"]]) == 2
    here = prepare(corpus, tmp_path / "here", workers=1, **SETTINGS)
    there = prepare(corpus, tmp_path / "there", engine="ray", **SETTINGS)
    assert len(here.shards) > 5
    assert contents(here.path) == contents(there.path)
    # A half-done job is resumed there, and paths may be relative.
    prepare(corpus, tmp_path / "half", task=(0, 2), workers=1, **SETTINGS)
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        command = ["prepare", *map(str, corpus), "-o", "half", "--shard-bytes", "3000", "--quiet"]
        assert main([*command, "--engine", "ray", "--workers", "2"]) == 0
    finally:
        os.chdir(before)
    assert contents(tmp_path / "half") == contents(here.path)


def test_an_error_on_another_machine_arrives_with_its_type(
    cluster: Any, corpus: list[Path], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"word " * 100 + b"\xff")
    with pytest.raises(InvalidUtf8, match=r"bad\.txt, byte 500:") as info:
        prepare([*corpus, bad], tmp_path / "store", engine="ray", **SETTINGS)
    assert info.value.offset == 500


def test_the_loss_of_a_machine_loses_no_work(
    cluster: Any, corpus: list[Path], tmp_path: Path
) -> None:
    here = prepare(corpus, tmp_path / "here", workers=1, **SETTINGS)
    node = cluster.add_node(num_cpus=4)
    cluster.wait_for_nodes()
    done: list[str] = []

    def lose_machine(event: dict[str, object]) -> None:
        done.append(str(event["event"]))
        if done.count("task done") == 1:
            cluster.remove_node(node, allow_graceful=False)

    prepare(corpus, tmp_path / "store", engine="ray", log=lose_machine, **SETTINGS)
    assert contents(tmp_path / "store") == contents(here.path)
