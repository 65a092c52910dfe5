"""Compiled modules: doctests, stubs that match, no need of torch, and light imports."""

from __future__ import annotations

import ast
import doctest
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastprep
import fastprep_ext

FOLDER = Path(fastprep_ext.__file__).parent
STUBS = sorted(path.stem for path in FOLDER.glob("*.pyi"))
PUBLIC = sorted({*fastprep.__all__, "__version__"})


@pytest.mark.parametrize("name", STUBS)
def test_examples_in_a_compiled_module_run(name):
    module = importlib.import_module(f"fastprep_ext.{name}")
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", STUBS)
def test_names_in_a_stub_are_in_its_module(name):
    module = importlib.import_module(f"fastprep_ext.{name}")
    for node in ast.parse((FOLDER / f"{name}.pyi").read_text()).body:
        if isinstance(node, ast.ClassDef):
            found = getattr(module, node.name)
            members = {
                getattr(item, "name", None) or item.target.id  # type: ignore[attr-defined]
                for item in node.body
                if isinstance(item, (ast.FunctionDef, ast.AnnAssign))
            }
            assert members <= set(dir(found))
            public = {member for member in vars(found) if not member.startswith("_")}
            assert public <= members
        elif isinstance(node, ast.FunctionDef):
            assert hasattr(module, node.name)
        elif isinstance(node, ast.AnnAssign):
            assert hasattr(module, node.target.id)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", STUBS)
def test_stub_has_all_names_that_its_module_exports(name):
    module = importlib.import_module(f"fastprep_ext.{name}")
    stub = (FOLDER / f"{name}.pyi").read_text()
    for offered in getattr(module, "__all__", []):
        assert offered in stub


def test_every_public_name_has_a_docstring():
    pytest.importorskip("torch")
    for name in fastprep.__all__:
        found = getattr(fastprep, name)
        assert found.__doc__, name
        for member, value in vars(found).items() if isinstance(found, type) else ():
            if not member.startswith("_") and (callable(value) or isinstance(value, property)):
                assert value.__doc__, f"{name}.{member}"


def test_without_torch_the_rest_works_and_errors_name_the_package(tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('none here', name='torch')\n")
    (tmp_path / "text.txt").write_text("Some text.")
    program = (
        "import fastprep\n"
        "store = fastprep.prepare('text.txt', 'store', progress=False)\n"
        "print(store[:].tolist(), fastprep.sliding_windows(store, 2, 1).shape)\n"
        "try:\n"
        "    fastprep.WindowDataset\n"
        "except AttributeError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(FOLDER).parent}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "[4366, 2420, 13, 50256] (2, 3)",
        "fastprep.WindowDataset needs torch: pip install 'fastprep[torch]'",
    ]


def run_in_new_process(program: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(FOLDER.parent)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return done.stdout


def test_encoding_to_a_list_does_not_import_numpy():
    program = (
        "import sys\n"
        "before = {*sys.modules}\n"
        "import fastprep\n"
        "enc = fastprep.get_encoding('o200k_base')\n"
        "print(enc.decode(enc.encode('hello world')), enc.count('hello world'))\n"
        "slow = {'numpy', 'torch', 'msgspec', 'tqdm', 'typing', 're', 'pathlib', 'dataclasses'}\n"
        "print(sorted(slow & {*sys.modules} - before))\n"
        "print(enc.encode_to_numpy('hello world').tolist(), fastprep.__version__)\n"
    )
    assert run_in_new_process(program).splitlines() == [
        "hello world 2",
        "[]",
        f"[24912, 2375] {fastprep.__version__}",
    ]


# Modules that take longer to import than a megabyte takes to prepare, and that no text file needs.
HEAVY = {
    *("numpy", "torch", "pyarrow", "fsspec", "tqdm", "ray", "backports", "tempfile"),
    *("multiprocessing", "concurrent", "asyncio", "ctypes", "pickle", "socket", "subprocess"),
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", ["two.jsonl", "two.txt"])
def test_preparing_verifying_and_showing_text_import_only_what_they_need(tmp_path, name, workers):
    text = (
        '{"text": "One."}\n{"text": "Two."}\n' if name == "two.jsonl" else "One.<|endoftext|>Two."
    )
    (tmp_path / name).write_text(text)
    program = (
        "import sys\n"
        "before = {*sys.modules}\n"
        "from fastprep.cli import main as cli\n"
        "from fastprep.jobs import task\n"
        "done = task.Done\n"
        "def done_and_reported(*facts):\n"
        # In one write, because another thread could write between a text and its newline.
        f"    print(str(sorted({HEAVY!r} & {{*sys.modules}} - before)) + '\\n', end='', flush=True)\n"
        "    return done(*facts)\n"
        "task.Done = done_and_reported\n"
        f"words = ['prepare', {str(tmp_path / name)!r}, '-o', {str(tmp_path / 'store')!r}]\n"
        f"print(cli.main([*words, '--shard-bytes', '15', '--workers', '{workers}', '--quiet']))\n"
        f"print(cli.main(['verify', {str(tmp_path / 'store')!r}, '--quiet']))\n"
        f"print(cli.main(['info', {str(tmp_path / 'store')!r}, '--json']))\n"
        f"print(sorted({HEAVY!r} & {{*sys.modules}} - before))\n"
    )
    lines = run_in_new_process(program).splitlines()
    facts = json.loads(lines[-3])
    assert (facts["documents"], facts["shards"] > 1) == (2, True)
    del lines[-3]
    assert {*lines} == {"[]", "0"}


# Other packages are imported already, because they take seconds; fastprep is not.
ONE_PROCESS_EACH = """
import importlib, os, sys, traceback
for name in ("numpy", "msgspec", "tqdm", "torch.utils.data"):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        pass
assert not [name for name in sys.modules if name.startswith("fastprep")]
for statement in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        try:
            exec(statement)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""


@pytest.fixture(scope="module")
def first_import_statuses():
    """Return the status of a process without fastprep for each import statement that it ran first."""
    statements = [f"import fastprep_ext.{name}" for name in STUBS]
    statements += [f"from fastprep import {name}" for name in PUBLIC]
    command = [sys.executable, "-c", ONE_PROCESS_EACH, *statements]
    env = {**os.environ, "PYTHONPATH": str(FOLDER.parent)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sys.stderr.write(done.stderr)
    return dict(zip(statements, map(int, done.stdout.split()), strict=True))


@pytest.mark.parametrize("name", STUBS)
def test_compiled_module_may_be_imported_first(first_import_statuses, name):
    assert first_import_statuses[f"import fastprep_ext.{name}"] == 0


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_may_be_imported_first(first_import_statuses, name):
    pytest.importorskip("torch")
    assert first_import_statuses[f"from fastprep import {name}"] == 0


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = fastprep.no_such_name
    assert set(fastprep.__all__) <= set(dir(fastprep))
