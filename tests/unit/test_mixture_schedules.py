"""Mixtures whose weights change: exact proportions at every position, and resuming."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from fastprep.errors import InvalidWindow, WrongState  # noqa: E402
from fastprep.training.dataset import WindowDataset  # noqa: E402
from fastprep.training.loader import create_dataloader  # noqa: E402
from fastprep.windows.mixture import Mixture  # noqa: E402
from fastprep_ext.windows import Order  # noqa: E402

WEIGHT = st.sampled_from([0, 1, 2, 7, 100, 0.1, 0.37, Fraction(1, 3)])


@st.composite
def scheduled(draw: Any) -> tuple[Mixture, list[int]]:
    count = draw(st.integers(1, 6))
    weights = st.lists(WEIGHT, min_size=count, max_size=count).filter(any)
    starts = draw(st.sets(st.integers(1, 150), min_size=1, max_size=8))
    mixture = Mixture(
        [(f"store{k}", weight) for k, weight in enumerate(draw(weights))],
        schedule=[(start, draw(weights)) for start in starts],
    )
    return mixture, draw(st.lists(st.integers(1, 30), min_size=count, max_size=count))


@settings(max_examples=60, deadline=None)
@given(scheduled())
def test_every_prefix_has_the_sum_of_the_shares_of_its_windows(case: Any) -> None:
    mixture, sizes = case
    order = Order(sizes, phases=mixture.phases, length=200, shuffle=False).take(range(200))
    bounds = np.cumsum(sizes)
    drawn = [0] * len(sizes)
    exact = [Fraction(0)] * len(sizes)
    changes = dict(mixture.schedule)
    shares = mixture.shares
    for position, index in enumerate(order):
        shares = changes.get(position, shares)
        source = int(np.searchsorted(bounds, index, "right"))
        assert shares[source] > 0
        assert index - (bounds[source] - sizes[source]) == drawn[source] % sizes[source]
        drawn[source] += 1
        exact = [one + share for one, share in zip(exact, shares, strict=True)]
        assert drawn == mixture.counts(position + 1)
        assert all(
            abs(one - other) < 1 + len(sizes) / 2 for one, other in zip(drawn, exact, strict=True)
        )


def test_a_ramp_of_many_small_steps_is_as_exact_as_constant_weights() -> None:
    # Each phase alone would round the small shares to 0, or the large ones to 1.
    ramp = {k: (1000 - k, k / 2, k / 2) for k in range(1, 1000)}
    mixture = Mixture([("a", 1), ("b", 0), ("c", 0)], schedule=ramp)
    exact = [Fraction(0)] * 3
    for position in range(1000):
        shares = mixture.schedule[position - 1][1] if position else mixture.shares
        exact = [one + share for one, share in zip(exact, shares, strict=True)]
        counts = mixture.counts(position + 1)
        assert all(abs(one - other) < 2 for one, other in zip(counts, exact, strict=True))


def test_weights_that_do_not_change_give_the_order_of_constant_ones() -> None:
    constant = Mixture([("a", 3), ("b", 1), ("c", 0.5)])
    same = Mixture([("a", 3), ("b", 1), ("c", 0.5)], schedule={7: (6, 2, 1), 100: (3, 1, 0.5)})
    sizes = [20, 10, 5]
    for mixture in (constant, same):
        assert Order(sizes, phases=mixture.phases, length=300, seed=4).take(range(300)) == Order(
            sizes, splits=constant.splits, length=300, seed=4
        ).take(range(300))


def sources() -> list[range]:
    return [range(0, 1001), range(2000, 3001), range(5000, 6001)]


def windows(batches: Any) -> list[int]:
    return [row[0] // 10 for inputs, _ in batches for row in inputs.tolist()]


def test_positions_count_windows_of_all_ranks_and_epochs_or_tokens() -> None:
    one, two, _ = sources()
    options: Any = {"batch_size": 5, "max_length": 10}
    mixture = Mixture([(one, 1), (two, 0)], num_windows=40, schedule={60: (0, 1)})
    loader = create_dataloader(mixture, **options)
    epochs = [windows(loader) for _ in range(2)]
    assert [window < 200 for epoch in epochs for window in epoch] == [True] * 60 + [False] * 20
    assert loader.source_epochs() == [0.6, 0.2]
    tokens = Mixture([(one, 1), (two, 0)], num_windows=40, schedule={591: (0, 1)}, unit="tokens")
    assert [windows(create_dataloader(tokens, epoch=k, **options)) for k in range(2)] == epochs
    ranks = [create_dataloader(mixture, epoch=1, rank=r, world_size=2, **options) for r in (0, 1)]
    assert sorted(window for rank in ranks for window in windows(rank)) == sorted(epochs[1])


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_run_resumes_at_any_position_of_a_schedule(workers: int) -> None:
    mixture = Mixture(
        zip(sources(), (3, 1, 0), strict=True),
        num_windows=60,
        schedule={17: (1, 1, 1), 40: (0, 1, 5)},
    )
    options: Any = {"batch_size": 4, "max_length": 10, "seed": 3}
    loader = create_dataloader(mixture, **options)
    whole = windows(loader)
    loader.set_epoch(0)
    for step, _ in enumerate(itertools.islice(loader, 14), 1):
        if workers and step % 5:
            continue
        state = loader.state_dict()
        assert len(str(state)) < 1000
        resumed = create_dataloader(mixture, num_workers=workers, **options)
        resumed.load_state_dict(state)
        assert windows(resumed) == whole[4 * step :]


def test_only_the_changes_before_a_position_belong_to_its_state() -> None:
    def make(**schedule: Any) -> Any:
        mixture = Mixture(zip(sources(), (3, 1, 1), strict=True), num_windows=100, **schedule)
        return create_dataloader(mixture, batch_size=4, max_length=10, seed=3)

    loader = make()
    head = windows(itertools.islice(loader, 10))
    state = loader.state_dict()
    later = make(schedule={40: (0, 0, 1)})
    later.load_state_dict(state)  # what is still to come may change
    rest = windows(later)
    assert all(window >= 500 for window in rest)
    assert head + rest == windows(make(schedule={40: (0, 0, 1)}))
    with pytest.raises(WrongState, match=r"shares: \['3/5', '1/5', '1/5'\] in the state"):
        make(schedule={39: (0, 0, 1)}).load_state_dict(state)
    changed = make(schedule={40: (0, 0, 1)})
    for _ in itertools.islice(changed, 11):
        pass
    with pytest.raises(WrongState, match=r"shares: .*1 changes"):
        make().load_state_dict(changed.state_dict())


def test_a_mixture_of_one_source_repeats_no_window_within_its_epochs() -> None:
    loader = create_dataloader(
        Mixture([(range(101), 1)], num_windows=25), batch_size=5, max_length=10
    )
    drawn = [window for _ in range(2) for window in windows(loader)]
    assert all(sorted(drawn[k : k + 10]) == list(range(10)) for k in range(0, 50, 10))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": {0: (1, 1)}}, "a position of the schedule is 0"),
        ({"schedule": {2.5: (1, 1)}}, "a position of the schedule is 2.5"),
        ({"schedule": {2**62: (1, 1)}}, "a position of the schedule is"),
        ({"schedule": [(5, (1, 1)), (5, (1, 2))]}, "two entries at 5"),
        ({"schedule": {5: (1,)}}, "each of the 2 sources a weight"),
        ({"schedule": {5: {"a": 1, "c": 1}}}, "differs in"),
        ({"schedule": {5: (0, 0)}}, "one of the weights must be above 0"),
        ({"schedule": {5: (1, -1)}}, "must be above 0"),
        ({"unit": "steps"}, "must be 'windows' or 'tokens'"),
        ({"num_windows": True}, "num_windows is True"),
        ({"num_windows": 2**62}, "num_windows is"),
    ],
)
def test_a_schedule_that_does_not_fit_is_refused(options: Any, message: str) -> None:
    with pytest.raises(InvalidWindow, match=message):
        Mixture({"a": 1, "b": 1}, **options)
    if "schedule" not in options:
        return
    with pytest.raises(InvalidWindow, match="above 0"):
        Mixture({"a": 1, "b": 0})


def test_tokens_are_counted_once_the_length_of_a_window_is_known() -> None:
    mixture = Mixture([(range(101), 1), (range(101), 1)], schedule={35: (1, 0)}, unit="tokens")
    with pytest.raises(InvalidWindow, match="call in_windows"):
        mixture.counts(10)
    dataset = WindowDataset(mixture, 10)
    assert dataset.mixture is not None
    assert [start for start, _ in dataset.mixture.schedule] == [4]
    assert repr(mixture).endswith("; 1 changes)")


@pytest.mark.parametrize("sources", [["a", "b"], [("a",)], "ab"])
def test_sources_without_weights_are_refused(sources: Any) -> None:
    with pytest.raises(InvalidWindow, match="a mixture needs a weight for each source"):
        Mixture(sources)
