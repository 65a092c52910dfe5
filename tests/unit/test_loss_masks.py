"""Targets that the assistant did not write are -100, in every layout and order of loaders."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fastprep import Mixture, TokenStore, WindowDataset, create_dataloader, prepare
from fastprep.errors import InvalidStore, InvalidWindow
from fastprep.windows import tokens as windows_tokens

LAYOUTS = ("sliding", "documents", "packed", "filled")


def spell(messages: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    return [(message["content"], message["role"] == "assistant") for message in messages]


def make(folder: Path, *, shard_bytes: int = 1 << 20, seed: int = 0, count: int = 40) -> TokenStore:
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        parts = [" tea" * draw.randrange(1, 12) for _ in range(draw.randrange(1, 5))]
        roles = [draw.choice(["user", "assistant"]) for _ in parts]
        chat = [{"role": r, "content": c} for r, c in zip(roles, parts, strict=True)]
        lines.append(json.dumps({"messages": chat}) + "\n")
    folder.mkdir(exist_ok=True)
    (folder / "a.jsonl").write_text("".join(lines))
    return prepare(
        folder / "a.jsonl",
        folder / "store",
        messages="messages",
        template=spell,
        shard_bytes=shard_bytes,
        progress=False,
    )


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return make(tmp_path / "one")


def mask_of(store: TokenStore) -> np.ndarray[Any, Any]:
    return np.concatenate([store.shard_mask(k) for k in range(store.num_shards)])


def expected_targets(store: TokenStore, **options: Any) -> torch.Tensor:
    """Return the targets of all windows: those of a dataset of the mask say which are ignored.

    In the mask dataset each token is its byte, so a target of 0 is that of a token that is not trained.
    """
    ends = store.document_ends
    plain = WindowDataset(store, loss_mask=False, **options)
    marks = WindowDataset(mask_of(store), document_ends=ends, **options)
    assert len(plain) == len(marks)
    everything = range(len(plain))
    targets = plain.__getitems__(everything).targets.clone()
    targets[marks.__getitems__(everything).targets == 0] = -100
    return targets


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shard_bytes", [1 << 20, 700])
@pytest.mark.parametrize("mmap", [True, False])
def test_targets_are_those_of_the_reference(
    tmp_path: Path, layout: Any, shard_bytes: int, mmap: bool
) -> None:
    store = make(tmp_path / "one", shard_bytes=shard_bytes)
    assert (store.num_shards > 1) == (shard_bytes < 1000)
    marks: list[dict[str, Any]] = [{}, {"mask_targets": True}]
    marks += [{"pad_last": True, "stride": 5}] if layout == "sliding" else []
    for more in marks:
        options: dict[str, Any] = {"max_length": 16, "layout": layout, **more}
        dataset = WindowDataset(store, mmap=mmap, **options)
        found = dataset.__getitems__(range(len(dataset))).targets
        assert (found == expected_targets(store, **options)).all()
        assert (found == -100).any()
        assert (found != -100).any()


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
@pytest.mark.parametrize(
    "options", [{}, {"shuffle": "blocks", "shuffle_block_tokens": 64}, {"shuffle": False}]
)
def test_loaders_give_the_same_windows_masked(
    store: TokenStore, dtype: torch.dtype, options: dict[str, Any]
) -> None:
    settings = {"batch_size": 3, "max_length": 8, "seed": 5, "dtype": dtype, **options}
    masked = [*create_dataloader(store, **settings)]
    plain = [*create_dataloader(store, loss_mask=False, **settings)]
    bits = mask_of(store)
    order = create_dataloader(store, **settings).sampler.order()
    assert len(masked) == len(plain)
    for step, ((inputs, targets), (same, others)) in enumerate(zip(masked, plain, strict=True)):
        assert targets.dtype == dtype
        assert torch.equal(inputs, same)
        for row, window in enumerate(order.take(range(3 * step, 3 * step + 3))):
            own = torch.from_numpy(bits[window * 8 + 1 : window * 8 + 9].astype(bool))
            assert torch.equal(
                targets[row], torch.where(own, others[row], torch.tensor(-100, dtype=dtype))
            )


def test_ranks_workers_and_resuming(store: TokenStore) -> None:
    settings: dict[str, Any] = {"max_length": 8, "seed": 2, "layout": "packed"}
    whole = [*create_dataloader(store, batch_size=4, **settings)]
    ranks = [
        [*create_dataloader(store, batch_size=2, rank=rank, world_size=2, **settings)]
        for rank in range(2)
    ]
    for (inputs, targets), *parts in zip(whole, *ranks, strict=True):
        assert torch.equal(inputs, torch.cat([part[0] for part in parts]))
        assert torch.equal(targets, torch.cat([part[1] for part in parts]))
    workers = [*create_dataloader(store, batch_size=4, num_workers=1, **settings)]
    assert all(torch.equal(a[1], b[1]) for a, b in zip(whole, workers, strict=True))
    loader = create_dataloader(store, batch_size=4, **settings)
    found = iter(loader)
    next(found), next(found)
    again = create_dataloader(store, batch_size=4, **settings)
    again.load_state_dict(loader.state_dict())
    assert all(torch.equal(a[1], b[1]) for a, b in zip(whole[2:], again, strict=True))


def test_mixtures_mask_the_sources_that_have_a_mask(tmp_path: Path, store: TokenStore) -> None:
    (tmp_path / "b.txt").write_text(" tea" * 500)
    plain = prepare(tmp_path / "b.txt", tmp_path / "plain", progress=False)
    mixture = Mixture([(store, 1), (plain, 1)])
    settings: dict[str, Any] = {"batch_size": 1, "max_length": 8, "seed": 1}
    masked, every = (
        [*create_dataloader(mixture, loss_mask=use, **settings)] for use in (None, False)
    )
    ignored = [bool((a[1] != b[1]).any()) for a, b in zip(masked, every, strict=True)]
    assert any(ignored)
    assert not all(ignored)
    alone = [*create_dataloader(plain, **settings)]
    assert not any((batch[1] == -100).any() for batch in alone)
    with pytest.raises(InvalidWindow, match="does not record which tokens"):
        create_dataloader(mixture, loss_mask=True, **settings)


def test_outputs(store: TokenStore) -> None:
    settings: dict[str, Any] = {"batch_size": 2, "max_length": 8, "shuffle": False}
    pair = next(iter(create_dataloader(store, **settings)))
    labels = next(iter(create_dataloader(store, outputs="dict", **settings)))["labels"]
    assert (labels[:, 0] == -100).all()
    assert torch.equal(labels[:, 1:], pair[1][:, :-1])
    with pytest.raises(InvalidWindow, match="no place for targets of -100"):
        create_dataloader(store, outputs="tokens", **settings)
    with pytest.raises(InvalidWindow, match="cannot hold the target -100"):
        create_dataloader(store, dtype="store", **settings)
    for options in ({"outputs": "tokens"}, {"dtype": "store"}):
        next(iter(create_dataloader(store, loss_mask=False, **options, **settings)))
    with pytest.raises(InvalidWindow, match="loss_mask is 5"):
        WindowDataset(store, 8, loss_mask=5)  # type: ignore[arg-type]


def test_stores_that_are_opened_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(tmp_path / "one", shard_bytes=700)
    expected = WindowDataset(store, 16).__getitems__(range(20)).targets
    monkeypatch.setattr("fastprep.store.reader._MAX_CHECKED_SHARDS", 1)
    monkeypatch.setattr(windows_tokens, "MAX_MAPPED_SHARDS", 1)
    for mmap in (None, True):
        dataset = WindowDataset(TokenStore(store.path), 16, mmap=mmap)
        assert torch.equal(dataset.__getitems__(range(20)).targets, expected)
    dataset = WindowDataset(TokenStore(store.path), 16)
    store.shard_file(0, "mask").unlink()
    with pytest.raises(InvalidStore, match=r"shard-00000.mask"):
        dataset.__getitems__([0])


def test_a_mask_that_is_truncated_while_it_is_open_is_an_error(store: TokenStore) -> None:
    dataset = WindowDataset(store, 8)
    with store.shard_file(0, "mask").open("r+b") as file:
        file.truncate(0)
    with pytest.raises(InvalidStore, match="or the mask beside it: cannot be read"):
        dataset.__getitems__([0])


def test_a_mask_has_a_byte_per_token() -> None:
    from fastprep_ext.windows import GatheredRows, TokenShards

    ids = TokenShards([np.arange(9, dtype=np.uint16)])
    for wrong in (np.zeros(8, np.uint8), np.zeros(9, np.uint16)):
        with pytest.raises(InvalidWindow, match="a mask is a byte per token"):
            GatheredRows(ids, 1, 8, mask=TokenShards([wrong]))
