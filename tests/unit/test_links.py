"""Files of an output that are links: nothing outside is written through one; readers follow them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastprep import (
    SimpleTokenizerV2,
    TokenStore,
    build_vocab,
    export_store,
    import_tokens,
    prepare,
    verify,
)
from fastprep.errors import InvalidStore, StoreExists


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("Do you like tea?")
    return path


@pytest.mark.parametrize("name", ["run.lock", "job.lock", "shard-00000.lock"])
@pytest.mark.parametrize("exists", [True, False])
def test_no_lock_is_opened_through_a_link(
    tmp_path: Path, text: Path, name: str, exists: bool
) -> None:
    outside = tmp_path / "outside"
    if exists:
        outside.write_text("mine")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / name).symlink_to(outside)
    with pytest.raises(StoreExists, match=f"{name}: a symbolic link"):
        prepare(text, tmp_path / "s", progress=False)
    assert outside.exists() == exists
    assert not exists or outside.read_text() == "mine"


@pytest.mark.parametrize("name", ["shard-00000.bin", "shard-00000.ends", "vocabulary.json"])
def test_no_file_of_unfinished_work_replaces_a_link(tmp_path: Path, text: Path, name: str) -> None:
    encoding = SimpleTokenizerV2(build_vocab("Do you like tea?"))
    output, outside = tmp_path / "s", tmp_path / "outside"
    with pytest.raises(ZeroDivisionError):
        prepare(text, output, encoding=encoding, progress=False, log=lambda _: 1 / 0)
    link = output / name
    link.unlink(missing_ok=True)
    if name != "vocabulary.json":
        outside.write_text("mine")
    link.symlink_to(outside)
    with pytest.raises(StoreExists, match=f"{name}: a symbolic link"):
        prepare(text, output, encoding=encoding, progress=False)
    link.unlink()
    assert verify(prepare(text, output, encoding=encoding, progress=False)).documents == 1
    assert not outside.exists() or outside.read_text() == "mine"


def test_a_new_job_removes_links_and_not_their_targets(tmp_path: Path, text: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    output = tmp_path / "s"
    output.mkdir()
    for name in ("shard-00000.bin", "shard-00001.ends"):
        (output / name).symlink_to(outside)
    assert verify(prepare(text, output, progress=False)).documents == 1
    assert outside.read_text() == "mine"
    assert not [path for path in output.iterdir() if path.is_symlink()]


@pytest.mark.parametrize("name", ["shard-00000.bin.tmp", "manifest.json.tmp", "manifest.json"])
def test_no_other_file_is_written_through_a_link(tmp_path: Path, text: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / name).symlink_to(outside)
    with pytest.raises(StoreExists, match=f"{name}: a symbolic link"):
        prepare(text, tmp_path / "s", progress=False, overwrite=True)
    assert outside.read_text() == "mine"


def test_a_store_of_links_is_read(tmp_path: Path, text: Path) -> None:
    store = prepare(text, tmp_path / "s", progress=False)
    linked = tmp_path / "linked"  # as a cache of Hugging Face has it
    linked.mkdir()
    for file in store.path.iterdir():
        (linked / file.name).symlink_to(file)
    assert np.array_equal(TokenStore(linked)[:], store[:])
    assert verify(linked).tokens == len(store)


def test_linked_exports_and_imports_stay_possible(tmp_path: Path, text: Path) -> None:
    store = prepare(text, tmp_path / "s", progress=False)
    export_store(store, format="datatrove", output=tmp_path / "ds", link=True)
    options = {"format": "datatrove", "encoding": "gpt2", "link": True, "progress": False}
    source = tmp_path / "ds" / "00000_tokens.ds"
    for overwrite in (False, True):
        back = import_tokens(source, tmp_path / "back", overwrite=overwrite, **options)
        assert np.array_equal(back[:], store[:])


@pytest.mark.parametrize("damage", ["", "{}", None, "space"])
def test_verify_checks_the_vocabulary_of_words(
    tmp_path: Path, text: Path, damage: str | None
) -> None:
    encoding = SimpleTokenizerV2(build_vocab("Do you like tea?"))
    store = prepare(text, tmp_path / "s", encoding=encoding, progress=False)
    path = store.path / "vocabulary.json"
    assert verify(store).documents == 1
    if damage is None:
        path.unlink()
    elif damage == "space":
        path.write_bytes(path.read_bytes() + b" ")
    else:
        path.write_text(damage)
    with pytest.raises(InvalidStore, match=r"vocabulary\.json: (missing|its sha256 is)"):
        verify(store)
