"""Names of inputs and outputs: homes, texts in place of paths, missing folders, missing packages."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from fastprep import TokenStore, export_store, get_encoding, import_tokens, prepare, verify
from fastprep.cli.main import main
from fastprep.corpus import compressed
from fastprep.corpus.inputs import find
from fastprep.errors import (
    BadVocabulary,
    FastprepError,
    InvalidInput,
    InvalidStore,
    MissingExtra,
    StoreExists,
)
from fastprep.report.page import write_report
from fastprep.words.encoding import WordEncoding


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("One.")
    return tmp_path


def names() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def test_inputs_and_outputs_know_the_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert [span.path for span in find("~/*.txt")] == [f"{folder}/a.txt"]
    prepare(Path("~/a.txt"), "~/store", progress=False)
    assert TokenStore(Path("~/store")).num_documents == 1
    export_store("~/store", format="nanogpt", output="~/nano")
    assert names() == ["a.txt", "nano", "store"]


def test_outputs_of_exports_and_reports_are_checked_as_paths() -> None:
    store = prepare("a.txt", "store", progress=False)
    for path, message in (("", "empty name"), ("gs://b/x", "must be on this machine")):
        for call in (
            lambda: export_store(store, format="nanogpt", output=path),  # noqa: B023
            lambda: write_report(store, path),  # noqa: B023
        ):
            with pytest.raises(InvalidInput, match=message):
                call()
    with pytest.raises(InvalidInput, match="there is no directory no"):
        export_store(store, format="nanogpt", output="no/such/place")


@pytest.mark.parametrize("words", [["", "-o", "s"], ["a.txt", "", "-o", "s"], ["a.txt", "-o", ""]])
def test_the_command_refuses_an_empty_name(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["prepare", *words])
    assert ended.value.code == 2
    assert 'is an empty name; pass "." for the current directory' in capsys.readouterr().err
    assert names() == ["a.txt"]


@pytest.mark.parametrize("name", ["a\0b.txt", "x" * 2000, "a\nb", "x" * 300 + ".txt"])
def test_a_name_that_no_file_can_have_is_an_error(name: str) -> None:
    with pytest.raises(InvalidInput):
        find(name)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["One text. And more of it.", "Two"], r"put texts into a table: pyarrow\.table"),
        (["Is it one? Or *two*?"], r"put texts into a table: pyarrow\.table"),
        (["word " * 500], r"put texts into a table: pyarrow\.table"),
        (["Two\nlines"], r"put texts into a table: pyarrow\.table"),
        ({"text": ["One"]}, r"the inputs are a dict; .* pyarrow\.table\(inputs\)"),
        (["a.txt", {"text": "One"}], r"input 2 is a dict; .* pyarrow\.Table\.from_pylist"),
        ([["One"]], r"input 1 is a list; .* pyarrow\.table"),
        (b"a.txt", "the inputs are bytes; pass a str or a pathlib.Path"),
        ([b"a.txt"], "input 1 is a bytes"),
        (3, "input 1 is a int"),
        ([None], "input 1 is a NoneType"),
    ],
)
def test_texts_and_other_things_that_are_no_paths_are_told_from_them(
    inputs: Any, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        prepare(inputs, "store", progress=False)
    assert names() == ["a.txt"]


def test_a_column_of_a_data_set_is_told_from_the_data_set() -> None:
    column = type("Column", (list,), {"__module__": "datasets.arrow_dataset"})(["One", "Two"])
    with pytest.raises(InvalidInput, match="a Column, one column of a data set; pass the data set"):
        find(column)


def test_an_output_may_have_one_missing_parent() -> None:
    assert prepare("a.txt", "new/store", progress=False).num_documents == 1
    message = "other/new/store: there is no directory other; create it, or check the name"
    with pytest.raises(InvalidInput, match=message):
        prepare("a.txt", "other/new/store", progress=False)
    with pytest.raises(
        InvalidInput, match=r"/fastprep-none: there is no directory|no directory /fast"
    ):
        prepare("a.txt", "/fastprep-none/dir/x", progress=False)
    assert names() == ["a.txt", "new"]


@pytest.mark.parametrize("output", ["link", "link/store"])
def test_an_output_that_is_a_link_without_a_target_is_named(output: str) -> None:
    Path("link").symlink_to("nowhere")
    with pytest.raises(
        (StoreExists, InvalidInput), match=r"link: (a link to nowhere|there is)|link;"
    ):
        prepare("a.txt", output, progress=False)
    assert names() == ["a.txt", "link"]


def test_a_file_above_an_output_is_named() -> None:
    with pytest.raises(StoreExists, match=r"a\.txt/b/store: a\.txt is a file, not a directory"):
        prepare("a.txt", "a.txt/b/store", progress=False)


def test_every_command_that_writes_names_a_link_without_a_target() -> None:
    store = prepare("a.txt", "store", progress=False)
    Path("link").symlink_to("nowhere")
    with pytest.raises(StoreExists, match="link: a link to nowhere, which does not exist"):
        export_store(store, format="nanogpt", output="link")
    [ids] = export_store(store, format="nanogpt", output="files")
    with pytest.raises(StoreExists, match="link: a link to nowhere, which does not exist"):
        import_tokens([ids], "link", format="nanogpt", encoding=get_encoding("gpt2"))


def test_a_pipe_for_a_vocabulary_of_words_is_refused() -> None:
    prepare("a.txt", "store", encoding=WordEncoding.from_texts(["a b"]), progress=False)
    for name in ("pipe", "store/vocabulary.json"):
        Path(name).unlink(missing_ok=True)
        os.mkfifo(name)
    with pytest.raises(BadVocabulary, match=r"pipe: not a regular file"):
        WordEncoding.from_file("pipe")
    with pytest.raises(InvalidStore, match=r"vocabulary\.json: not a regular file"):
        verify("store")


def test_a_missing_package_is_reported_with_its_file_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_zstd(name: str) -> Any:
        if "zstd" in name:
            raise ModuleNotFoundError(name)
        return importlib.__import__(name)

    monkeypatch.setattr(compressed.importlib, "import_module", no_zstd)
    Path("q.jsonl.zst").write_bytes(b"x")
    with pytest.raises(MissingExtra, match=r"q\.jsonl\.zst: .*pip install 'fastprep\[zstd\]'"):
        prepare(["a.txt", "q.jsonl.zst"], "store", progress=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    Path("p.parquet").write_bytes(b"x")
    with pytest.raises(MissingExtra, match=r"p\.parquet: .*pip install 'fastprep\[arrow\]'"):
        prepare(["a.txt", "p.parquet"], "store", progress=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(FastprepError, match=r"pip install 'fastprep\[ray\]'"):
        prepare("a.txt", "store", engine="ray", progress=False)
    assert not Path("store").exists()


def test_a_file_that_became_a_pipe_is_an_error_and_does_not_block() -> None:
    from fastprep.corpus.sources import open_bytes

    os.mkfifo("b.txt")
    with pytest.raises(InvalidInput, match=r"b\.txt: not a regular file"):
        open_bytes("b.txt")
