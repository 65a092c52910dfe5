"""Fingerprints of a loader's order, and the check that a saved state fits the loader."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastprep.errors import WrongState
from fastprep.training.dataset import WindowDataset
from fastprep.windows.blocks import BlockRows
from fastprep.windows.mixture import Mixture
from fastprep.windows.tokens import TokenSource

VERSION = 1
_DIGITS = 32  # of a sha256
_SAMPLES = 64  # stretches that represent ids outside a store
_SAMPLE_TOKENS = 64  # ids per stretch


def fingerprint(dataset: WindowDataset, *, seed: int, shuffle: bool | str) -> dict[str, Any]:
    """Return what the order of windows depends on, except epoch and position, as plain values.

    Two loaders with the same fingerprint yield the same windows in the same order, whatever
    their ranks, workers and batch sizes.

    >>> sorted(fingerprint(WindowDataset(range(50), 4), seed=0, shuffle=True))[:4]
    ['layout', 'max_length', 'seed', 'shares']
    """
    return {
        "tokens": [source_fingerprint(source) for source in dataset.sources],
        "max_length": dataset.max_length,
        "stride": dataset.stride,
        "seed": seed,
        "shuffle": shuffle,
        "layout": _layout(dataset),
        "windows": dataset.sizes,
        "shares": shares_before(dataset.mixture, 0),
        "windows of an epoch": dataset.order().length,
    }


def shares_before(mixture: Mixture | None, position: int) -> list[str] | None:
    """Return what the sources of the first `position` windows of all epochs depend on.

    These are the shares of the sources, and a digest of the changes of a schedule before `position`.

    >>> shares_before(Mixture({"a": 1, "b": 3}), 0)
    ['1/4', '3/4']
    """
    if mixture is None:
        return None
    first = [str(share) for share in mixture.shares]
    changes = [[start, *map(str, shares)] for start, shares in mixture.schedule if start < position]
    if not changes:
        return first
    return [
        *first,
        f"{len(changes)} changes {hashlib.sha256(repr(changes).encode()).hexdigest()[:32]}",
    ]


def _layout(dataset: WindowDataset) -> str:
    layout = dataset.layout + (" cropped" if dataset.crop else "")
    if any(isinstance(rows, BlockRows) for rows in dataset.packing):
        # The number of the rule: states of another one are refused.
        layout += " by blocks, rule 1"
    ends = dataset.document_ends
    if dataset.layout == "sliding" or ends is None:
        return layout
    return f"{layout} by ends {hashlib.sha256(ends.tobytes()).hexdigest()[:32]}"


def source_fingerprint(source: TokenSource) -> str:
    """Return 32 hexadecimal digits that identify the tokens, without reading all of them.

    For a token store it is the digest of its manifest, which has the checksums of all ids; for
    other tokens the digest of their dtype, their number, and 64 stretches of 64 ids.
    """
    from fastprep.store.reader import TokenStore

    if isinstance(source.store, TokenStore):
        # Not of the file, which may be that of a longer store by now.
        return source.store.digest[:_DIGITS]
    digest = hashlib.sha256()
    digest.update(f"{source.dtype.name} {source.num_tokens}".encode())
    bounds = np.cumsum([0, *(len(shard) for shard in source.shards)])
    for k in range(_SAMPLES):
        position = source.num_tokens * k // _SAMPLES
        shard = int(np.searchsorted(bounds, position, "right")) - 1
        if shard < len(source.shards):
            first = position - int(bounds[shard])
            digest.update(source.shards[shard][first : first + _SAMPLE_TOKENS].tobytes())
    return digest.hexdigest()[:_DIGITS]


def check_state(
    state: Any,
    own: dict[str, Any],
    sources: Sequence[TokenSource] = (),
    mixture: Mixture | None = None,
) -> tuple[int, int]:
    """Return epoch and position of a saved state of a loader with the fingerprint `own`.

    Of a schedule of the mixture only the changes before the position matter. Raises WrongState, with
    the values that differ, for any other state. `sources` are the loader's: if one was appended to since
    the state was saved, the error says so.
    """
    try:
        version, epoch, position = state["version"], state["epoch"], state["position"]
        saved = state["fingerprint"]
        names = list(saved)
    except (TypeError, KeyError) as error:
        raise WrongState(
            f"this is not the state of a fastprep loader ({type(error).__name__}: {error}); "
            f"pass what its state_dict() returned"
        ) from None
    if version != VERSION:
        raise WrongState(f"the state has version {version}; this fastprep reads version {VERSION}")
    is_place = type(epoch) is int and type(position) is int and epoch >= 0
    if is_place:
        before = epoch * own["windows of an epoch"] + position
        own = {**own, "shares": shares_before(mixture, before)}
    wrong = [
        f"{name}: {saved.get(name)!r} in the state, {own.get(name)!r} here"
        for name in dict.fromkeys([*own, *names])
        if saved.get(name) != own.get(name)
    ]
    if appends := _appends(saved.get("tokens"), sources):
        raise WrongState(
            f"{'; '.join(appends)}; the order of its windows is another one now, so start an epoch "
            "without the state, or finish it with a copy of the store as it was"
        )
    if wrong:
        raise WrongState(
            "the state comes from a loader with another order, so windows would be lost or repeated; "
            f"{'; '.join(wrong)}; create the loader as it was, or start an epoch without the state"
        )
    if not is_place or not 0 <= position <= own["windows of an epoch"]:
        raise WrongState(f"the state is damaged: position {position!r} of epoch {epoch!r}")
    return epoch, position


def _appends(saved: Any, sources: Sequence[TokenSource]) -> list[str]:
    """Return which stores were appended to since a state was saved, `saved` with their fingerprints."""
    from fastprep.store.reader import TokenStore

    found = []
    for fingerprint, source in zip(saved if isinstance(saved, list) else (), sources, strict=False):
        store = source.store
        if not isinstance(store, TokenStore):
            continue
        for append in store.head.appended or ():
            if (append.digest or append.manifest_sha256)[:_DIGITS] == fingerprint:
                before = store.token_starts[append.first_shard]
                found.append(
                    f"{store.path} was appended to since the state was saved: it had {before:,} tokens "
                    f"and has {store.num_tokens:,}"
                )
    return found
