"""Arguments of every wrong kind: an error of fastprep that says what was found, or the documented one.

Left out are the interfaces that other libraries define: tiktoken's Encoding, the notebook's classes,
and what torch itself checks (device, dtype).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastprep
from fastprep.errors import FastprepError, WrongType

WRONG: list[Any] = [None, 3, -1, 1.5, "x", b"x", object(), [], {}, (), "a\0b", "\ud800", int, True]
#: Functions that a caller passes; what they raise is theirs.
CALLBACKS = {"log", "progress"}
#: Checked by torch.
OF_TORCH = {"device", "dtype"}


class Calls:
    """Calls that work, as functions and their arguments."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        text = folder / "two.txt"
        text.write_text("One two three.<|endoftext|>Two more words here and there.")
        self.store = fastprep.prepare(text, folder / "store", progress=False)
        np.array([1, 2, 50256], np.uint16).tofile(folder / "ids.bin")
        self.text = str(text)

    def out(self) -> str:
        self.count += 1
        return str(self.folder / f"out{self.count}")

    def of(self, name: str) -> dict[str, Any]:
        store = self.store
        calls: dict[str, Callable[[], dict[str, Any]]] = {
            "prepare": lambda: {"inputs": self.text, "output": self.out(), "progress": False},
            "merge_tasks": lambda: {"output": str(store.path)},
            "verify": lambda: {"store": store, "progress": False},
            "export_store": lambda: {"store": store, "format": "nanogpt", "output": self.out()},
            "import_tokens": lambda: {
                "inputs": str(self.folder / "ids.bin"),
                "output": self.out(),
                "format": "nanogpt",
                "encoding": "gpt2",
            },
            "TokenStore": lambda: {"path": str(store.path)},
            "get_encoding": lambda: {"encoding_name": "gpt2"},
            "encoding_for_model": lambda: {"model_name": "gpt2"},
            "encoding_name_for_model": lambda: {"model_name": "gpt2"},
            "sliding_windows": lambda: {"tokens": [1, 2, 3, 4], "max_length": 2, "stride": 1},
            "Mixture": lambda: {"weights": {store: 1}},
            "WindowDataset": lambda: {"tokens": store, "max_length": 4},
            "create_dataloader": lambda: {"tokens": store, "batch_size": 1, "max_length": 4},
            "WindowSampler": lambda: {"dataset": range(9), "batch_size": 1},
            "TokenEmbedding": lambda: {"vocab_size": 9, "embedding_dim": 4},
            "InputEmbedding": lambda: {"vocab_size": 9, "embedding_dim": 4, "max_length": 4},
            "PositionalEmbedding": lambda: {"max_length": 9, "embedding_dim": 4},
            "SinusoidalEmbedding": lambda: {"max_length": 9, "embedding_dim": 4},
        }
        return calls[name]()


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Calls:
    return Calls(tmp_path_factory.mktemp("wrong"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    [
        *("prepare", "merge_tasks", "verify", "export_store", "import_tokens", "TokenStore"),
        *("get_encoding", "encoding_for_model", "encoding_name_for_model", "sliding_windows"),
        *("Mixture", "WindowDataset", "create_dataloader", "WindowSampler", "TokenEmbedding"),
        *("InputEmbedding", "PositionalEmbedding", "SinusoidalEmbedding"),
    ],
)
def test_wrong_kinds_of_arguments_are_errors_of_fastprep(
    name: str, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hasattr(fastprep, name):
        pytest.skip("needs torch")
    monkeypatch.chdir(calls.folder)
    function = getattr(fastprep, name)
    calls.of(name)
    faults = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD or parameter.name in OF_TORCH:
            continue
        for value in WRONG:
            if parameter.name in CALLBACKS and callable(value):
                continue
            try:
                function(**{**calls.of(name), parameter.name: value})
            except FastprepError:
                pass
            except Exception as error:
                faults.append(f"{parameter.name}={value!r:.20}: {type(error).__name__}: {error}")
    assert faults == []


def test_a_path_of_a_wrong_type_is_a_type_error_too() -> None:
    with pytest.raises(TypeError, match="a store is 7; pass a str"):
        fastprep.TokenStore(7)  # type: ignore[arg-type]
    with pytest.raises(WrongType, match="a vocabulary file is None"):
        fastprep.Encoding.from_file(None)  # type: ignore[arg-type]
