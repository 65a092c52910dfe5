"""The package where torch is not installed, and its version without a look at installed packages."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastprep

ROOT = Path(fastprep.__file__).parents[1]
NEED_TORCH = sorted(
    name for name, module in fastprep._MODULE_OF.items() if module.startswith("training.")
)
HINT = "fastprep.{} needs torch: pip install 'fastprep[torch]'"


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a process that has no torch."""
    (folder / "torch.py").write_text("raise ModuleNotFoundError('none here', name='torch')\n")
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "PAGER": "cat"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def output_of(program: str, folder: Path) -> list[str]:
    done = run(program, folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_package_can_be_looked_at(tmp_path):
    program = (
        "import fastprep, inspect, pydoc\n"
        "print(*(name for name in dir(fastprep) if not hasattr(fastprep, name)))\n"
        "found = dict(inspect.getmembers(fastprep))\n"
        "print('get_encoding' in found, 'WindowDataset' in found)\n"
        "print('get_encoding' in pydoc.render_doc(fastprep, renderer=pydoc.plaintext))\n"
    )
    assert output_of(program, tmp_path) == [" ".join(NEED_TORCH), "True False", "True"]


def test_import_of_all_names_imports_those_that_work(tmp_path):
    program = (
        "from fastprep import *\n"
        "import fastprep\n"
        "print(get_encoding('gpt2').encode('hello world'), 'WindowDataset' in globals())\n"
        "print(*fastprep.__all__)\n"
    )
    ids, names = output_of(program, tmp_path)
    assert ids == "[31373, 995] False"
    assert {*names.split()} == {*fastprep._MODULES, *fastprep._MODULE_OF} - {*NEED_TORCH}


def test_use_of_a_name_says_what_to_install(tmp_path):
    program = (
        "import fastprep\n"
        f"for name in {NEED_TORCH}:\n"
        "    try:\n"
        "        getattr(fastprep, name)()\n"
        "    except AttributeError as error:\n"
        "        print(error)\n"
        "    try:\n"
        "        exec(f'from fastprep import get_encoding, {name}')\n"
        "    except ImportError as error:\n"
        "        print(type(error).__name__, error.name, error)\n"
    )
    expected = []
    for name in NEED_TORCH:
        expected += [HINT.format(name), f"MissingExtra torch {HINT.format(name)}"]
    assert output_of(program, tmp_path) == expected


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("from fastprep import nothing", "ImportError: cannot import name 'nothing'"),
        ("import fastprep.nothing", "ModuleNotFoundError: No module named 'fastprep.nothing'"),
        ("import fastprep; fastprep.nothing", "has no attribute 'nothing'"),
        ("import nothing", "ModuleNotFoundError: No module named 'nothing'"),
    ],
)
def test_other_names_that_are_missing_have_the_usual_errors(tmp_path, statement, error):
    program = f"import fastprep\nhasattr(fastprep, 'WindowDataset')\n{statement}"
    assert error in run(program, tmp_path).stderr.splitlines()[-1]


def test_version_is_in_one_place_and_costs_no_import(tmp_path):
    settings = (ROOT / "pyproject.toml").read_text().splitlines()
    assert 'version = { attr = "fastprep.__version__" }' in settings
    assert len([line for line in settings if line.startswith("version")]) == 1
    assert importlib.metadata.version("fastprep") == fastprep.__version__
    program = (
        "import sys\n"
        "from fastprep.cli.main import main\n"
        "code = main(['--version'])\n"
        "print(code, *sorted({'importlib.metadata', 'email', 'numpy'} & {*sys.modules}))\n"
    )
    assert output_of(program, tmp_path) == [f"fastprep {fastprep.__version__}", "0"]
