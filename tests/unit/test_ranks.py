"""Ranks: every window once over all processes, under each program that starts them."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from fastprep.errors import InvalidWindow  # noqa: E402
from fastprep.training.loader import create_dataloader  # noqa: E402
from fastprep.training.notebook import create_dataloader_v1  # noqa: E402
from fastprep.training.sampler import WindowSampler  # noqa: E402

ROOT = Path(__file__).parents[2]

# Makes a loader before any process group exists; the parts of each program follow.
START = """
import itertools, json, os, sys, warnings
import torch
import fastprep

def rows(batches):
    return [row[0] // 10 for batch in batches for row in batch[0].tolist()]

def report(*values):
    with open(os.path.join(sys.argv[1], f"{os.environ['RANK']}.json"), "w") as file:
        json.dump(values, file)

loader = fastprep.create_dataloader(range(1031), batch_size=4, max_length=10, seed=1)
"""

TORCHRUN = """
import torch.distributed as dist
dist.init_process_group("gloo")
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(10, 1))
batches = iter(loader)
for inputs, _ in itertools.islice(batches, 1):
    model(inputs.float()).mean().backward()
    first = rows([(inputs,)])
state = loader.state_dict()
resumed = fastprep.create_dataloader(range(1031), batch_size=4, max_length=10, seed=1)
resumed.load_state_dict(state)
rest = rows(resumed)
assert rows(batches) == rest
report(len(loader), first + rest, state)
dist.barrier()
dist.destroy_process_group()
"""

ACCELERATE = """
warnings.simplefilter("ignore")
from accelerate import Accelerator
accelerator = Accelerator(cpu=True)
model = torch.nn.Linear(10, 1)
model, prepared = accelerator.prepare(model, loader)
assert prepared is loader and accelerator.num_processes == 2
first = rows(itertools.islice(prepared, 5))
saved = os.path.join(sys.argv[1], "saved")
accelerator.save_state(saved)
accelerator.wait_for_everyone()  # each rank writes files that all read
state = prepared.state_dict()
rows(itertools.islice(prepared, 2))
accelerator.load_state(saved)
rest = rows(prepared)
report(len(loader), first + rest, state)
accelerator.end_training()
"""

LIGHTNING = """
warnings.simplefilter("ignore")
import lightning

class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(10, 1)
        self.seen = []

    def training_step(self, batch, _):
        self.seen += rows([batch])
        return self.layer(batch[0].float()).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.0)

model = Model()
trainer = lightning.Trainer(
    accelerator="cpu", devices=2, strategy="ddp", max_epochs=1, logger=False,
    enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
)
os.environ["RANK"] = "0"
trainer.fit(model, loader)
os.environ["RANK"] = str(trainer.global_rank)
report(len(loader), model.seen, {})
"""


def run(program: str, folder: Path, starts_itself: bool = False) -> list[Any]:
    """Run a program in two processes, and return what each reported."""
    script = folder / "script.py"
    script.write_text(START + program)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ranks = [
        {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
         "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        for rank in range(2)
    ]  # fmt: skip
    runs = [
        subprocess.Popen(
            [sys.executable, str(script), str(folder)],
            env={**common, **({} if starts_itself else rank)}, cwd=folder,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )
        for rank in ranks[: 1 if starts_itself else 2]
    ]  # fmt: skip
    try:
        for process in runs:
            output, _ = process.communicate(timeout=240)
            assert process.returncode == 0, output
    finally:
        for process in runs:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize(
    ("package", "program"),
    [("torch", TORCHRUN), ("accelerate", ACCELERATE), ("lightning", LIGHTNING)],
)
def test_two_processes_share_an_epoch_of_a_loader_made_before_them(
    package: str, program: str, tmp_path: Path
) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    one, other = run(program, tmp_path, starts_itself=package == "lightning")
    # 103 windows: 12 steps of twice 4, as one process would draw them at batch_size 8.
    assert one[0] == other[0] == 12
    assert len(one[1]) == len(other[1]) == 48
    whole = create_dataloader(range(1031), batch_size=8, max_length=10, seed=1)
    steps = [(inputs[:, 0] // 10).tolist() for inputs, _ in whole]
    assert [one[1][k : k + 4] + other[1][k : k + 4] for k in range(0, 48, 4)] == steps
    assert one[2] == other[2]


class Processes:
    """torch.distributed as one of some processes that may start later."""

    rank, size = 0, 0

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import torch.distributed as processes

        monkeypatch.setattr(processes, "is_initialized", lambda: self.size > 0)
        monkeypatch.setattr(processes, "get_rank", lambda: self.rank)
        monkeypatch.setattr(processes, "get_world_size", lambda: self.size)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Processes:
    return Processes(monkeypatch)


def windows(batches: Any) -> list[int]:
    return [row[0] // 10 for inputs, _ in batches for row in inputs.tolist()]


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_the_rank_is_read_when_the_first_batch_is_requested(
    processes: Processes, workers: int
) -> None:
    loaders = [
        create_dataloader(range(401), batch_size=5, max_length=10, num_workers=workers)
        for _ in range(2)
    ]
    assert [len(loader) for loader in loaders] == [8, 8]
    iterators = [iter(loader) for loader in loaders]
    processes.size = 2
    drawn = []
    for processes.rank in range(2):
        drawn.append(windows(iterators[processes.rank]))
        assert len(loaders[processes.rank]) == 4
    assert sorted(drawn[0] + drawn[1]) == list(range(40))
    given = create_dataloader(range(401), batch_size=5, max_length=10, rank=0, world_size=1)
    assert (given.sampler.rank, given.sampler.num_replicas, len(given)) == (0, 1, 8)


def test_torchruns_rank_counts_before_torch_distributed_runs(
    monkeypatch: pytest.MonkeyPatch, processes: Processes
) -> None:
    sampler = WindowSampler(range(40), 5)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert (sampler.rank, sampler.num_replicas) == (0, 1)  # not started by torchrun
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert (sampler.rank, sampler.num_replicas) == (3, 4)
    processes.size = 2
    assert (sampler.rank, sampler.num_replicas) == (0, 2)
    assert pickle.loads(pickle.dumps(sampler)).num_replicas == 2


# ---- numbers of steps ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("windows", "size", "ranks", "message"),
    [
        (4, 64, 1, "4 windows make no batch: batch_size 64 takes 64, and drop_last skips the rest"),
        (23, 8, 3, "23 windows make no batch: batch_size 8 on each of 3 ranks takes 24"),
    ],
)
def test_an_epoch_without_a_batch_is_an_error(
    windows: int, size: int, ranks: int, message: str
) -> None:
    options: Any = {"batch_size": size, "max_length": 20, "rank": 0, "world_size": ranks}
    with pytest.raises(InvalidWindow, match=message):
        create_dataloader(range(windows * 20 + 1), **options)
    with pytest.raises(InvalidWindow, match=message):
        WindowSampler(range(windows), size, rank=0, world_size=ranks)
    assert len(create_dataloader(range(windows * 20 + 1), drop_last=False, **options)) == 1
    enough = create_dataloader(range(size * ranks * 20 + 1), **options)
    assert len(enough) == 1


def test_the_notebooks_loader_warns_where_it_has_no_batch() -> None:
    options: Any = {"max_length": 20, "stride": 20, "tokenizer": None}
    with pytest.warns(UserWarning, match="4 windows make no batch of 64"):
        loader = create_dataloader_v1(range(100), batch_size=64, **options)
    assert list(loader) == []
    assert len(create_dataloader_v1(range(100), batch_size=64, drop_last=False, **options)) == 1


def test_it_is_an_error_as_soon_as_the_ranks_are_known(processes: Processes) -> None:
    loader = create_dataloader(range(101), batch_size=6, max_length=10)
    batches = iter(loader)
    processes.size = 2
    with pytest.raises(InvalidWindow, match="6 on each of 2 ranks takes 12"):
        next(batches)


@pytest.mark.parametrize("ranks", range(1, 6))
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("count", range(1, 13))
def test_a_warning_says_which_ranks_have_fewer_steps(ranks: int, size: int, count: int) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaders = [
            create_dataloader(
                range(count * 10 + 1), batch_size=size, max_length=10, rank=rank,
                world_size=ranks, drop_last=False,
            )
            for rank in range(ranks)
        ]  # fmt: skip
        steps = [len(loader) for loader in loaders]
    if len(set(steps)) == 1:
        assert not caught
        return
    short = [rank for rank in range(ranks) if steps[rank] == min(steps)]
    who = f"rank {short[0]} has" if len(short) == 1 else f"ranks {short[0]} to {short[-1]} have"
    assert len(caught) == ranks
    assert f"{count} windows on {ranks} ranks with batch_size {size}" in str(caught[0].message)
    assert f"so {who} {min(steps)} steps and the others {max(steps)}" in str(caught[0].message)


def test_a_resumed_run_warns_for_what_is_left() -> None:
    options: Any = {"max_length": 10, "drop_last": False, "world_size": 4}
    loader = create_dataloader(range(241), batch_size=3, rank=0, **options)
    next(iter(loader))
    resumed = create_dataloader(range(241), batch_size=2, rank=0, **options)
    resumed.load_state_dict({**loader.state_dict(), "position": 13})
    with pytest.warns(
        UserWarning, match="11 windows on 4 ranks .*: the last step has 3 for 4 ranks"
    ):
        next(iter(resumed))


# ---- Accelerate ------------------------------------------------------------------------------


def test_after_prepare_batches_are_on_accelerates_device(monkeypatch: pytest.MonkeyPatch) -> None:
    accelerate = pytest.importorskip("accelerate")
    state = type("State", (), {"device": torch.device("meta")})
    monkeypatch.setattr(accelerate, "PartialState", state)
    for outputs in ("pair", "dict", "tokens"):
        loader = create_dataloader(range(101), batch_size=2, max_length=10, outputs=outputs)  # type: ignore[arg-type]
        batch: Any = next(iter(loader))
        assert devices(batch) == {"cpu"}
        loader._is_accelerate_prepared = True  # as Accelerator.prepare does
        batch = next(iter(loader))
        assert devices(batch) == {"meta"}


def devices(batch: Any) -> set[str]:
    tensors = batch.values() if isinstance(batch, dict) else batch
    return {tensor.device.type for tensor in tensors}
