"""A user's program runs; `make check` checks its types. The public names are those documented."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import fastprep

HIDDEN = ("core", "load", "model", "registry")


def test_a_users_program_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    import user_program

    monkeypatch.chdir(tmp_path)
    user_program.main(tmp_path)


def test_a_star_import_binds_the_public_names_alone() -> None:
    names: dict[str, object] = {}
    exec("from fastprep import *", names)
    names.pop("__builtins__")
    assert sorted(names) == fastprep.__all__
    assert not {*HIDDEN, "annotations", "sys"} & {*names, *dir(fastprep)}
    assert {*dir(fastprep)} == {*names, "__version__"}


def test_code_written_for_tiktoken_finds_its_modules() -> None:
    code = "import fastprep as tiktoken; tiktoken.load; tiktoken.model; tiktoken.core; tiktoken.registry"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_what_functions_return_is_public() -> None:
    for name in ("Documents", "Verified", "ShownTokens", "Manifest", "WordEncoding", "PackedRows"):
        assert getattr(fastprep, name).__name__ == name


@pytest.fixture
def store(tmp_path: Path) -> fastprep.TokenStore:
    return fastprep.prepare([{"text": "One"}], tmp_path / "store", progress=False)


def test_old_names_work_with_a_warning_that_says_until_when(
    store: fastprep.TokenStore, tmp_path: Path
) -> None:
    until = "the old name works until fastprep 0.4"
    done: list[int] = []
    with pytest.warns(DeprecationWarning, match=f"'report' is now 'progress'; {until}") as found:
        fastprep.verify(store, report=done.append)  # type: ignore[call-arg]
    assert found[0].filename == __file__
    assert done
    with pytest.warns(DeprecationWarning, match=f"'to' is now 'format'; {until}"):
        fastprep.export_store(store, to="nanogpt", output=tmp_path / "out")  # type: ignore[call-arg]
    with pytest.warns(DeprecationWarning, match=f"is now vocab_size; {until}") as found:
        assert store.n_vocab == store.vocab_size == 50257
    assert found[0].filename == __file__
    warnings.simplefilter("ignore")  # pytest restores the filters
    with pytest.raises(TypeError, match="two names of one option"):
        fastprep.verify(store, report=None, progress=None)  # type: ignore[call-arg]
