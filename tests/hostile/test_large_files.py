"""Offsets beyond 2**31 and 2**32, in sparse files."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from texts import rows_of

from fastprep.corpus import reader as corpus
from fastprep.corpus.documents import Batch, Format, PlacesInFile, Span
from fastprep.corpus.plan import plan
from fastprep.encoding.encoding import Encoding
from fastprep.jobs.job import encoding_record
from fastprep.store import manifest as manifests
from fastprep.store.manifest import Manifest, ShardRecord, shard_path
from fastprep.store.reader import TokenStore
from fastprep.store.writer import ShardWriter, _PartFiles
from fastprep.windows.sliding import sliding_windows

EDGES = (1 << 31, 1 << 32)


def zeros_crc32(count: int) -> list[int]:
    """Return the checksums of a file of zero bytes, which has only two different blocks."""
    whole, rest = divmod(count, manifests.CHECKSUM_BYTES)
    found = []
    for size in (manifests.CHECKSUM_BYTES, rest):
        checksum = manifests.BlockChecksum()
        checksum.update(bytes(size))
        found.append(checksum.values())
    return found[0] * whole + found[1]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    """A shard of more than 2**32 tokens in a dozen documents, all 0 except some at its edges."""
    directory = tmp_path_factory.mktemp("large") / "store"
    directory.mkdir()
    ends = np.array(
        [5, *(edge + step for edge in EDGES for step in (-3, -1, 0, 1, 2)), (1 << 32) + 9],
        np.uint64,
    )
    tokens = int(ends[-1])
    with shard_path(directory, 0, "bin").open("wb") as file:
        file.truncate(2 * tokens)
        for edge in EDGES:
            file.seek(2 * (edge - 4))
            file.write(np.arange(1, 10, dtype="<u2").tobytes())
    ends.tofile(shard_path(directory, 0, "ends"))
    checksum = manifests.BlockChecksum()
    checksum.update(ends.tobytes())
    manifest = Manifest(
        format="fastprep token store",
        version=1,
        dtype="uint16",
        n_vocab=100,
        encoding=manifests.EncodingRecord(
            name="none", rank_table_sha256="0" * 64, pattern=".", special_tokens={}
        ),
        end_token=None,
        separator=None,
        field="text",
        unicode_version="16.0.0",
        tokens=tokens,
        documents=len(ends),
        shards=[
            ShardRecord(
                tokens=tokens,
                documents=len(ends),
                max_id=9,
                bin_crc32=zeros_crc32(2 * tokens),
                ends_crc32=checksum.values(),
                inputs=[],
            )
        ],
    )
    (directory / "manifest.json").write_bytes(manifests.encode(manifest))
    return TokenStore(directory)


@pytest.mark.parametrize("edge", EDGES)
def test_tokens_documents_and_windows_are_right_across_the_edge(
    store: TokenStore, edge: int
) -> None:
    assert store[edge - 5 : edge + 6].tolist() == [0, *range(1, 10), 0]
    assert store[edge] == 5
    number = int(np.searchsorted(store.document_ends, edge))
    assert store.document(number).tolist() == [4]
    assert store.document(number + 1).tolist() == [5]
    assert sliding_windows(store, 4, 1)[edge - 2].tolist() == [3, 4, 5, 6, 7]


@pytest.mark.parametrize("edge", EDGES)
def test_batches_and_their_marks_are_right_across_the_edge(store: TokenStore, edge: int) -> None:
    pytest.importorskip("torch")
    from fastprep.training.dataset import WindowDataset

    windows = WindowDataset(store, 4, 1, position_ids=True, document_ids=True, mask_targets=True)
    assert len(windows) == store.num_tokens - 4
    sample = windows[edge - 2]
    assert sample["inputs"].tolist() == [3, 4, 5, 6]
    assert windows[edge + 1]["inputs"].tolist() == [6, 7, 8, 9]
    number = int(np.searchsorted(store.document_ends, edge - 1))
    ends = store.document_ends[number : number + 4].tolist()
    assert ends == [edge - 1, edge, edge + 1, edge + 2]
    assert sample["document_ids"].tolist() == [number, number + 1, number + 2, number + 3]
    assert sample["position_ids"].tolist() == [0] * 4  # counted in the window
    assert sample["targets"].tolist() == [-100] * 4  # each of the next document
    assert windows[edge + 3]["targets"].tolist() == [9, 0, 0, 0]


def test_an_epoch_of_more_than_2_to_the_32_windows_goes_on_from_any_place(
    store: TokenStore,
) -> None:
    pytest.importorskip("torch")
    from fastprep.training.loader import create_dataloader

    def loader(rank: int = 0, world_size: int = 1) -> Any:
        return create_dataloader(
            store, batch_size=8, max_length=4, stride=1, seed=3, rank=rank, world_size=world_size
        )

    state = loader().state_dict()
    for position in (0, (1 << 31) - 16, (1 << 32) - 40):
        alone = loader()
        alone.load_state_dict({**state, "position": position})
        batches = iter(alone)
        expected = [next(batches)[0] for _ in range(4)]
        ranks = [loader(rank, 2) for rank in range(2)]
        for each in ranks:
            each.load_state_dict({**state, "position": position})
        both = zip(*ranks, strict=True)
        found = [inputs for _ in range(2) for inputs, _ in next(both)]
        assert [batch.tolist() for batch in found] == [batch.tolist() for batch in expected]


@pytest.mark.parametrize("edge", EDGES)
def test_a_shard_counts_its_tokens_across_the_edge(
    gpt2: Encoding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edge: int
) -> None:
    real = _PartFiles.__init__

    def as_if_after_many(self: _PartFiles, *arguments: object, masked: bool) -> None:
        assert not masked
        real(self, *arguments)  # type: ignore[arg-type]
        self._tokens = edge - 4

    monkeypatch.setattr(_PartFiles, "__init__", as_if_after_many)
    batch = Batch(rows_of(b"One.", b"Two."), True, PlacesInFile(""))
    (record,) = ShardWriter(gpt2, 50256).write([tmp_path], 0, [batch], [])
    ends = np.fromfile(shard_path(tmp_path, 0, "ends"), "<u8")
    assert ends.tolist() == [edge - 1, edge + 2]
    assert record.tokens == edge + 2
    assert encoding_record(gpt2).name == "gpt2"


@pytest.mark.parametrize("edge", EDGES)
def test_a_file_is_read_across_the_edge(tmp_path: Path, edge: int) -> None:
    path = tmp_path / "large.jsonl"
    lines = [b'{"text": "%d"}\n' % number for number in range(40)]
    with path.open("wb") as file:
        file.seek(edge - 200)
        file.write(b"\n")
        start = file.tell()
        file.write(b"".join(lines))
    size = path.stat().st_size
    rng = random.Random(edge)
    for _ in range(20):
        cuts = sorted([start, *(rng.randrange(start, size) for _ in range(3)), edge, size])
        spans = [Span(path.as_posix(), low, high, size) for low, high in pairwise(cuts)]
        texts = [
            text
            for span in spans
            for batch in corpus.batches(span, Format())
            for text in batch.texts
        ]
        assert [text if isinstance(text, str) else text.decode() for text in texts] == [
            str(number) for number in range(40)
        ]


def test_a_plan_of_petabytes_covers_every_byte() -> None:
    size = 10**15 + 7
    tasks = plan([Span("a.jsonl", 0, size, size)], Format(), shard_bytes=10**11)
    assert len(tasks) == 10_001
    assert tasks[0][0].start == 0
    assert tasks[-1][0].end == size
    assert all(a[0].end == b[0].start for a, b in pairwise(tasks))
