"""The readers of other programs read from an export the content of the store."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from texts import mixed_texts

import fastprep
from fastprep.exchange.exports import export_store
from fastprep.exchange.imports import import_tokens
from fastprep.store.reader import TokenStore

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, as they are imported


@pytest.fixture(scope="module", params=["gpt2", "cl100k_base"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    import msgspec

    directory = tmp_path_factory.mktemp("store")
    lines = [msgspec.json.encode({"text": text}) for text in mixed_texts(5, 300)]
    (directory / "a.jsonl").write_bytes(b"\n".join(lines))
    return fastprep.prepare(
        directory / "a.jsonl",
        directory / "store",
        encoding=request.param,
        shard_bytes=8000,
        workers=1,
        progress=False,
    )


def test_megatron_reads_every_document(store: TokenStore, tmp_path: Path) -> None:
    indexed = pytest.importorskip("megatron.core.datasets.indexed_dataset")
    export_store(store, format="megatron", output=tmp_path, one_file=True)
    theirs = indexed.IndexedDataset(str(tmp_path / "tokens"), multimodal=False, mmap=True)
    assert len(theirs) == store.num_documents
    assert theirs.document_indices.tolist() == list(range(store.num_documents + 1))
    for number in range(store.num_documents):
        assert np.asarray(theirs[number]).tolist() == store.document(number).tolist()


def test_megatrons_own_files_are_imported(store: TokenStore, tmp_path: Path) -> None:
    indexed = pytest.importorskip("megatron.core.datasets.indexed_dataset")
    import torch

    dtype = np.uint16 if store.dtype.itemsize == 2 else np.int32
    builder = indexed.IndexedDatasetBuilder(str(tmp_path / "t.bin"), dtype=dtype)
    rnd = random.Random(1)
    for number in range(store.num_documents):
        ids = store.document(number).astype(np.int64)
        cut = rnd.randrange(len(ids) + 1)
        for part in (ids[:cut], ids[cut:]):
            builder.add_item(torch.from_numpy(part))
        builder.end_document()
    builder.finalize(str(tmp_path / "t.idx"))
    back = import_tokens(
        tmp_path / "t", tmp_path / "back", format="megatron", encoding=store.encoding_name
    )
    assert back[:].tolist() == store[:].tolist()
    assert back.document_ends.tolist() == store.document_ends.tolist()


def test_datatrove_reads_every_window_and_position(store: TokenStore, tmp_path: Path) -> None:
    dataset = pytest.importorskip("datatrove.utils.dataset")
    for path in export_store(store, format="datatrove", output=tmp_path)[::3]:
        theirs = dataset.DatatroveFileDataset(
            str(path), seq_len=15, token_size=store.dtype.itemsize, return_positions=True
        )
        shard = int(path.name[:5])
        ids, ends = store.shards[shard], store.shard_ends[shard]
        assert len(theirs) == len(ids) // 16
        starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
        for number in range(len(theirs)):
            item = theirs[number]
            window = np.arange(16 * number, 16 * number + 16)
            assert item["input_ids"].tolist() == ids[window].tolist()
            first = starts[np.searchsorted(ends, window, "right")]
            positions = window - np.maximum(first, 16 * number)
            assert item["positions"].tolist() == positions.tolist()


def test_datatroves_own_files_are_imported(store: TokenStore, tmp_path: Path) -> None:
    tokens = pytest.importorskip("datatrove.pipeline.tokens.tokenizer")
    file = tokens.TokenizedFile(
        str(tmp_path),
        "a.ds",
        token_size=store.dtype.itemsize,
        tokenizer_name_or_path=store.encoding_name,
        save_final_metadata=True,
    )
    for number in range(store.num_documents):
        file.write(store.document(number).tolist(), None)
    file.close()
    back = import_tokens(
        tmp_path / "a.ds", tmp_path / "back", format="datatrove", encoding=store.encoding_name
    )
    assert back[:].tolist() == store[:].tolist()
    assert back.document_ends.tolist() == store.document_ends.tolist()
