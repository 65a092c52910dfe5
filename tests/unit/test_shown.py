"""What people see: coloured tokens, tables in notebooks, bars, and a repr of everything."""

from __future__ import annotations

import html.parser
import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import fastprep
from fastprep import errors
from fastprep.encoding.shown import ShownTokens
from fastprep.system import bars

HOSTILE = '<script>alert(1)</script> \x1b[2J\u202e"><img src=x onerror=y>\0'


@pytest.fixture
def store(tmp_path: Path) -> fastprep.TokenStore:
    (tmp_path / "a.txt").write_text(f"One tea.<|endoftext|>{HOSTILE}")
    return fastprep.prepare(tmp_path / "a.txt", tmp_path / "store<b>", progress=False)


class Tags(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found |= {tag, *(name for name, _ in attrs if name.startswith("on"))}

    def handle_data(self, data: str) -> None:
        self.text += data


KNOWN = {"style", "div", "table", "tr", "th", "td", "code", "b", "i"}


def checked(page: str) -> str:
    tags = Tags(page)
    assert tags.found <= KNOWN
    assert "\x1b" not in page
    assert "\u202e" not in page
    return tags.text


def test_tokens_are_coloured_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = fastprep.get_encoding("gpt2").show("hello world\nyou<|endoftext|>")
    assert shown.ids == [31373, 995, 198, 5832, 50256]
    assert repr(shown) == str(shown) == "hello| world|↵\n|you|<|endoftext|>"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    coloured = repr(shown)
    assert coloured.count("\x1b[48;5;") == 5 == coloured.count("\x1b[0m")
    assert "\x1b[48;5;210;38;5;16m<|endoftext|>\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == "hello world↵\nyou<|endoftext|>"
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in repr(shown)


def test_hostile_text_is_escaped_everywhere(store: fastprep.TokenStore) -> None:
    shown = fastprep.get_encoding("gpt2").show(HOSTILE)
    without = re.sub(r"\x1b\[(48;5;\d+;38;5;16|0)m", "", shown.ansi())
    for text in (shown.plain(), without):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\\u202e" in text
    assert "script" in checked(shown._repr_html_())
    assert "store<b>" in checked(store._repr_html_())


def test_the_command_line_has_the_same_colours_and_escapes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fastprep.cli.main import main

    text = "tea \u202e\x1b日 \ttea"
    shown = fastprep.get_encoding("gpt2").show(text)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert main(["show", "--text", text]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    tokens = re.compile(r"\x1b\[48;5;\d+;38;5;16m.*?\x1b\[0m")
    assert tokens.findall(line) == tokens.findall(shown.ansi())
    assert tokens.findall(repr(shown))  # FORCE_COLOR means the same to both
    # Jupyter sets it for its kernels, which show HTML.
    monkeypatch.setattr("fastprep.encoding.shown.in_notebook", lambda: True)
    assert repr(shown) == shown.plain()


def test_tokens_that_share_a_character_are_one() -> None:
    shown = fastprep.get_encoding("gpt2").show("a日")
    assert len(shown) == len(shown.ids) > 2
    assert shown.plain() == "a|日"
    assert ShownTokens([0], {0: b"\xff"}.__getitem__, frozenset()).plain() == "\\xff"


def test_notebooks_show_tables(store: fastprep.TokenStore) -> None:
    assert "50,257" in checked(fastprep.get_encoding("gpt2")._repr_html_())
    text = checked(store._repr_html_())
    assert "tokens" in text
    assert " tea" in text
    mixture = fastprep.Mixture({store: 3, str(store.path): 1})
    assert "75.0%" in checked(mixture._repr_html_())
    pytest.importorskip("torch")
    dataset = fastprep.WindowDataset(store, 4)
    assert "max_length" in checked(dataset._repr_html_())
    loader = fastprep.create_dataloader(store, batch_size=2, max_length=4, seed=7)
    assert "seed 7" in checked(loader._repr_html_())


def test_a_store_whose_encoding_is_unknown_is_shown_without_its_tokens(tmp_path: Path) -> None:
    store = fastprep.prepare([{"text": "a"}], tmp_path / "s", progress=False)
    path = store.path / "manifest.json"
    content = path.read_text().replace('"gpt2"', '"other"').replace('"306cd', '"406cd')
    path.write_text(content)
    assert "cannot be shown" in checked(fastprep.TokenStore(store.path)._repr_html_())


def test_all_that_is_returned_has_a_repr(store: fastprep.TokenStore, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    dataset = fastprep.WindowDataset(store, 4)
    loader = fastprep.create_dataloader(dataset, batch_size=2)
    packed = fastprep.WindowDataset(store, 4, layout="packed")
    vocab = fastprep.build_vocab("a b")
    for each in (
        *(store, store.encoding, store.documents(), store.texts(), store.manifest),
        *(dataset, loader, loader.sampler, packed.packing[0], dataset.__getitems__([0])),
        *(fastprep.verify(store), fastprep.Mixture({store: 1}), store.encoding.show("a")),  # type: ignore[union-attr]
        *(fastprep.SimpleTokenizerV1(vocab), fastprep.SimpleTokenizerV2(vocab)),
        *(fastprep.InputEmbedding(9, 4, 8), fastprep.TokenEmbedding(9, 4)),
        *(fastprep.PositionalEmbedding(8, 4), fastprep.SinusoidalEmbedding(8, 4)),
        *(fastprep.GPTDatasetV1("a b c d e", fastprep.get_encoding("gpt2"), 2, 1),),
        *fastprep.export_store(store, format="nanogpt", output=tmp_path / "out"),
    ):
        assert " object at 0x" not in repr(each), type(each)


class Bar:
    made: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, **options: Any) -> None:
        self.made.append(options)
        self.update = np.add
        self.n = self.start_t = 0.0

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_a_bar_is_shown_where_someone_looks(
    store: fastprep.TokenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Bar.made = []
    monkeypatch.setattr(bars, "tqdm_class", lambda: lambda **options: BarWithUpdate(**options))

    class BarWithUpdate(Bar):
        def update(self, size: int) -> None:  # type: ignore[override]
            pass

        def __init__(self, **options: Any) -> None:
            self.made.append(options)

    fastprep.verify(store)
    assert not Bar.made
    monkeypatch.setattr(bars, "is_watched", lambda: True)
    fastprep.verify(store)
    fastprep.export_store(store, format="nanogpt", output=tmp_path / "out")
    fastprep.verify(store, progress=False)
    assert [options["desc"] for options in Bar.made] == ["verify", "export"]
    done: list[int] = []
    fastprep.verify(store, progress=done.append)
    assert sum(done) == store.num_tokens * 2 + store.num_documents * 8
    with pytest.raises(errors.InvalidArgument, match="progress is 'yes'"):
        fastprep.verify(store, progress="yes")  # type: ignore[arg-type]


def test_a_notebook_has_bars_and_a_sentence_for_an_interrupt(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    (tmp_path / "a.txt").write_text("One.<|endoftext|>Two.")
    code = f"""
import os, signal, fastprep
from fastprep.system import bars
assert bars.in_notebook() and bars.is_watched() and bars.tqdm_class() is not None
def log(event):
    if event["event"] == "task done" and os.environ.pop("ONCE", None):
        os.kill(os.getpid(), signal.SIGINT)
os.environ["ONCE"] = "1"
fastprep.prepare({str(tmp_path / "a.txt")!r}, {str(tmp_path / "store")!r}, log=log, shard_bytes=8)
"""
    again = (
        f"fastprep.prepare({str(tmp_path / 'a.txt')!r}, {str(tmp_path / 'store')!r}, shard_bytes=8)"
    )
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(text) for text in (code, again, again)]
    )
    notebook.cells[0].metadata["tags"] = ["raises-exception"]
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
    first, second, third = (json.dumps(cell.outputs) for cell in notebook.cells)
    assert re.search(r"shards are finished; the same call or command resumes", first)
    assert "KeyboardInterrupt" in first
    assert "text/html" in second
    assert "made before from the same inputs and settings" in third


def test_public_classes_with_html_have_a_repr_too() -> None:
    for name in fastprep.__all__:
        found = getattr(fastprep, name)
        if inspect.isclass(found) and hasattr(found, "_repr_html_"):
            assert found.__repr__ is not object.__repr__
