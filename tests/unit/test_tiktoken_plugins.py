"""Plugins of tiktoken are read as tiktoken reads them, and its module names lead to fastprep's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import fastprep
from fastprep.errors import BadVocabulary, UnknownEncoding
from fastprep.registry import ENCODINGS

MINE = """
def mine():
    return {
        "name": "mine",
        "pat_str": "[a-z]+|[^a-z]",
        "mergeable_ranks": {**{bytes([i]): i for i in range(256)}, b"ab": 256},
        "special_tokens": {"<|end|>": 257},
    }


ENCODING_CONSTRUCTORS = {"mine": mine}
"""


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """Return a directory of the namespace package tiktoken_ext, which is left again after the test."""
    directory = tmp_path / "site" / "tiktoken_ext"
    directory.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(directory.parent))
    kept = {name: sys.modules.pop(name) for name in [*sys.modules] if "tiktoken_ext" in name}
    names = {*ENCODINGS}
    yield directory
    for name in [name for name in sys.modules if "tiktoken_ext" in name]:
        del sys.modules[name]
    sys.modules.update(kept)
    for name in {*ENCODINGS} - names:
        del ENCODINGS[name]


def test_an_encoding_of_a_plugin_is_made_once_by_its_name(plugins, tmp_path):
    (plugins / "mine.py").write_text(MINE)
    found = fastprep.get_encoding("mine")
    assert found.encode("abc<|end|>", allowed_special="all") == [256, 99, 257]
    assert fastprep.get_encoding("mine") is found
    assert fastprep.list_encoding_names()[-1] == "mine"
    store = fastprep.prepare(
        [{"text": "ab"}], tmp_path / "store", encoding="mine", eot="none", progress=False
    )
    assert store[:].tolist() == [256]
    assert store.encoding.encode("ab") == [256]


def test_a_constructor_may_take_another_encoding(plugins):
    (plugins / "both.py").write_text(
        "import fastprep\n"
        "def more():\n"
        "    base = fastprep.get_encoding('gpt2')\n"
        "    return {'name': 'more', 'pat_str': base._pat_str,\n"
        "            'mergeable_ranks': base._mergeable_ranks, 'special_tokens': {'<|x|>': 60000}}\n"
        "ENCODING_CONSTRUCTORS = {'more': more}\n"
    )
    more = fastprep.get_encoding("more")
    assert more.encode("hello<|x|>", allowed_special="all") == [31373, 60000]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "tiktoken_ext.wrong does not define ENCODING_CONSTRUCTORS"),
        ("ENCODING_CONSTRUCTORS = {'gpt2': dict}", "Duplicate encoding name gpt2"),
        ("ENCODING_CONSTRUCTORS = {'mine': dict}", "Duplicate encoding name mine"),
    ],
)
def test_a_plugin_that_breaks_the_rules_is_named(plugins, content, fault):
    (plugins / "mine.py").write_text(MINE)
    (plugins / "wrong.py").write_text(content)
    for _ in range(2):
        with pytest.raises(BadVocabulary, match=fault):
            fastprep.get_encoding("no-such-encoding")
    assert fastprep.get_encoding("gpt2").n_vocab == 50257


def test_an_unknown_name_is_listed_beside_those_of_plugins(plugins):
    (plugins / "mine.py").write_text(MINE)
    with pytest.raises(UnknownEncoding, match=r"There are gpt2, .*, mine"):
        fastprep.get_encoding("theirs")


def test_published_names_do_not_import_plugins(plugins):
    (plugins / "broken.py").write_text("1 / 0")
    assert fastprep.get_encoding("r50k_base").n_vocab == 50257
    with pytest.raises(ZeroDivisionError):
        fastprep.list_encoding_names()


@pytest.mark.parametrize(
    "code",
    [
        "import fastprep.core\nassert fastprep.core.Encoding is fastprep.Encoding",
        "import sys, fastprep\nsys.modules['tiktoken'] = fastprep\n"
        "from tiktoken.core import Encoding\nassert Encoding is fastprep.Encoding\n"
        "from tiktoken.registry import get_encoding, ENCODINGS\n"
        "assert get_encoding('gpt2') is fastprep.get_encoding('gpt2')\n"
        "from fastprep.registry import ENCODINGS as ours\nassert ENCODINGS is ours\n"
        "from tiktoken.model import encoding_for_model\n"
        "assert encoding_for_model('gpt2') is get_encoding('gpt2')\n"
        "import tiktoken.load\nimport tiktoken\nassert tiktoken.Encoding is Encoding",
    ],
)
def test_modules_of_tiktoken_lead_to_fastprep(code):
    command = [sys.executable, "-W", "error", "-c", code]
    subprocess.run(command, check=True, env={"PYTHONPATH": str(Path(fastprep.__file__).parents[1])})
