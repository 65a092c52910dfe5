"""What a loader's order depends on, in a few values, and the refusal to resume on anything else."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from fastprep.errors import WrongState
from fastprep.training.dataset import WindowDataset
from fastprep.windows.tokens import TokenSource

VERSION = 1
_SAMPLES = 64  # places at which ids that are in no store are looked at
_SAMPLE = 64  # ids at each of them


def fingerprint(dataset: WindowDataset, *, seed: int, shuffle: bool) -> dict[str, Any]:
    """Everything the order of windows depends on but epoch and position, as plain values.

    Two loaders with the same fingerprint hand out the same windows in the same order, whatever
    their ranks, workers and batch sizes.

    Examples
    --------
    >>> sorted(fingerprint(WindowDataset(range(50), 4), seed=0, shuffle=True))[:4]
    ['layout', 'max_length', 'seed', 'shares']
    """
    mixture = dataset.mixture
    return {
        "tokens": [source_fingerprint(source) for source in dataset.sources],
        "max_length": dataset.max_length,
        "stride": dataset.stride,
        "seed": seed,
        "shuffle": shuffle,
        "layout": _layout(dataset),
        "windows": dataset.sizes,
        "shares": None if mixture is None else [str(share) for share in mixture.shares],
        "windows of an epoch": dataset.order().length,
    }


def _layout(dataset: WindowDataset) -> str:
    layout = dataset.layout + (" cropped" if dataset.crop else "")
    ends = dataset.document_ends
    if dataset.layout == "sliding" or ends is None:
        return layout
    return f"{layout} by ends {hashlib.sha256(ends.tobytes()).hexdigest()[:32]}"


def source_fingerprint(source: TokenSource) -> str:
    """What tells these tokens from others, in no time: 32 hexadecimal digits.

    Of a token store it is the digest of its manifest, which has the checksums of all ids; of
    other tokens one of their type, number, and 64 stretches of them.
    """
    from fastprep.store.reader import TokenStore

    digest = hashlib.sha256()
    if isinstance(source.store, TokenStore):
        digest.update((source.store.path / "manifest.json").read_bytes())
        return digest.hexdigest()[:32]
    digest.update(f"{source.dtype.name} {source.num_tokens}".encode())
    bounds = np.cumsum([0, *(len(shard) for shard in source.shards)])
    for k in range(_SAMPLES):
        place = source.num_tokens * k // _SAMPLES
        shard = int(np.searchsorted(bounds, place, "right")) - 1
        if shard < len(source.shards):
            first = place - int(bounds[shard])
            digest.update(source.shards[shard][first : first + _SAMPLE].tobytes())
    return digest.hexdigest()[:32]


def check_state(state: Any, own: dict[str, Any]) -> tuple[int, int]:
    """Give epoch and position of a saved state, if it is one of a loader with this fingerprint.

    Raises
    ------
    WrongState
        naming what differs.
    """
    try:
        version, epoch, position = state["version"], state["epoch"], state["position"]
        saved = state["fingerprint"]
        names = list(saved)
    except (TypeError, KeyError) as error:
        raise WrongState(
            f"this is no state of a fastprep loader ({type(error).__name__}: {error}); "
            f"pass what its state_dict() gave"
        ) from None
    if version != VERSION:
        raise WrongState(f"the state has version {version}, this fastprep knows {VERSION}")
    wrong = [
        f"{name}: {saved.get(name)!r} there, {own.get(name)!r} here"
        for name in dict.fromkeys([*own, *names])
        if saved.get(name) != own.get(name)
    ]
    if wrong:
        raise WrongState(
            "the state is of a loader with another order, so windows would be lost or repeated; "
            f"{'; '.join(wrong)}; make the loader as it was, or begin an epoch without the state"
        )
    if not (
        isinstance(epoch, int)
        and isinstance(position, int)
        and epoch >= 0
        and 0 <= position <= own["windows of an epoch"]
    ):
        raise WrongState(f"the state stands at position {position!r} of epoch {epoch!r}: damaged")
    return epoch, position
