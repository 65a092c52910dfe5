"""The examples of docs/training.md, each run where its packages are installed."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from fastprep.jobs.prepare import prepare  # noqa: E402

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
EXAMPLES = [
    pytest.param(example, id=f"{number}-{'-'.join(title.lower().split()[:2])}")
    for number, (title, example) in enumerate(
        (part.splitlines()[0], example)
        for part in re.split(r"^##+ ", PAGE.read_text(encoding="utf-8"), flags=re.M)[1:]
        for example in re.findall(r"```python\n(.*?)```", part, re.S)
    )
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    for name in ("store", "other"):
        (folder / f"{name}.txt").write_text(
            "<|endoftext|>".join(f"A {name} of words and of documents, number {k}. " * (k % 9 + 2)
                                 for k in range(20))
        )  # fmt: skip
        prepare(folder / f"{name}.txt", folder / name, workers=1, eot="prepend", progress=False)
    return folder


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.filterwarnings("ignore")  # of the packages
def test_an_example_runs(
    example: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    for package in re.findall(r"^(?:import|from) (\w+)", example, re.M):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    monkeypatch.chdir(folder)
    for name, value in {
        "RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0",
        "ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": "", "TQDM_DISABLE": "1",
    }.items():  # fmt: skip
        if "dist.init" in example or not name.startswith(("RANK", "WORLD", "MASTER")):
            monkeypatch.setenv(name, value)
    model = torch.nn.Sequential(torch.nn.Embedding(50257, 1), torch.nn.Linear(1, 50257))
    names: dict[str, Any] = {"model": model, "__name__": "example"}
    try:
        exec(compile(example, str(PAGE), "exec", dont_inherit=True), names)
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
