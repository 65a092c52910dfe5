"""The order of an epoch: a permutation, a uniform one, and the shares of ranks and sources."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from reference import batches as reference  # noqa: E402

from fastprep.errors import InvalidWindow  # noqa: E402
from fastprep.training.sampler import Shares, WindowSampler, resolve_rank  # noqa: E402
from fastprep.windows.mixture import Mixture  # noqa: E402
from fastprep_ext.windows import Order  # noqa: E402

SIZES = [1, 2, 3, 4, 5, 7, 16, 17, 97, 100, 1023, 1024, 1025, 4099]


def deviation(counts: Any) -> float:
    """Return by how many standard deviations chi-square of equally likely cells is off."""
    counts = np.asarray(counts, float).ravel()
    expected = counts.sum() / counts.size
    chi_square = ((counts - expected) ** 2 / expected).sum()
    return float((chi_square - (counts.size - 1)) / math.sqrt(2 * (counts.size - 1)))


@pytest.mark.parametrize("size", SIZES)
def test_every_window_comes_exactly_once_as_the_reference_has_it(size: int) -> None:
    for seed, epoch in [(0, 0), (0, 1), (2**64 - 1, 7)]:
        order = Order([size], seed=seed, epoch=epoch).take(range(size))
        assert order == reference.epoch_order(size, seed, epoch)
        assert sorted(order) == list(range(size))


def test_any_part_of_a_huge_order_is_that_of_the_reference() -> None:
    size = 2 * 10**10 + 7
    order = Order([size], seed=5, epoch=3)
    key = reference.order_key(5, 3)
    for positions in (range(50), range(size - 50, size), range(10**9, 10**10, 10**9 + 7)):
        expected = [reference.permuted(size, key, position) for position in positions]
        assert order.take(positions) == expected


@pytest.mark.parametrize("size", [2, 3, 4, 5, 6])
def test_all_orders_of_a_few_windows_are_equally_likely(size: int) -> None:
    cells = math.factorial(size)
    seen = Counter(
        tuple(Order([size], seed=seed).take(range(size))) for seed in range(max(4000, 60 * cells))
    )
    orders = itertools.permutations(range(size))
    assert abs(deviation([seen[order] for order in orders])) < 5


@pytest.mark.parametrize("size", [1025, 65536, 1000003])
def test_chi_square_finds_nothing_in_a_shuffled_epoch(size: int) -> None:
    for seed in range(2):
        order = np.array(Order([size], seed=seed).take(range(size)))
        for lag in (1, 2, 3):
            steps = (order[lag:] - order[:-lag]) % size
            assert abs(deviation(np.bincount(steps * 64 // size, minlength=64))) < 5
        blocks = [np.histogram(part, 16, (0, size))[0] for part in np.array_split(order, 16)]
        assert abs(deviation(blocks)) < 5
        assert (order == np.arange(size)).sum() < 12


def test_chi_square_finds_nothing_from_key_to_key() -> None:
    size = 1087
    by_seed = np.array([Order([size], seed=seed).take(range(2)) for seed in range(60000)])
    cells, *_ = np.histogram2d(*by_seed.T, bins=[16, 16], range=[[0, size], [0, size]])
    assert abs(deviation(cells)) < 5
    by_epoch = [Order([size], seed=3, epoch=epoch).take(range(1))[0] for epoch in range(60000)]
    assert abs(deviation(np.bincount(by_epoch, minlength=size))) < 5
    assert abs(deviation(np.bincount(np.diff(by_epoch) % size, minlength=size))) < 5


def test_unshuffled_is_the_order_of_the_corpus() -> None:
    assert Order([9], shuffle=False, epoch=4).take(range(9)) == list(range(9))


@pytest.mark.parametrize(
    "options",
    [{"seed": -1}, {"seed": 2**64}, {"epoch": -1}, {"epoch": 2**61}],
)
def test_numbers_out_of_range_are_refused(options: Any) -> None:
    with pytest.raises(InvalidWindow, match=r"out of range|must be an integer"):
        Order([10], **options)
    with pytest.raises(InvalidWindow, match="at least one window"):
        Order([3, 0])
    with pytest.raises(InvalidWindow, match="not within"):
        Order([10]).take(range(5, 11))


# ---- ranks -----------------------------------------------------------------------------------


@given(
    st.integers(0, 90),
    st.integers(1, 7),
    st.integers(1, 9),
    st.booleans(),
    st.integers(0, 90),
)
def test_ranks_share_every_position_exactly_once(
    length: int, batch_size: int, world_size: int, drop_last: bool, start: int
) -> None:
    start = min(start, length)
    shares = [
        Shares(length, batch_size, rank, world_size, drop_last, start) for rank in range(world_size)
    ]
    batches = [[list(share.positions(k)) for k in range(len(share))] for share in shares]
    assert batches == [
        reference.rank_positions(length, batch_size, rank, world_size, drop_last, start)
        for rank in range(world_size)
    ]
    whole = (length - start) // (world_size * batch_size) * world_size * batch_size
    together = sorted(itertools.chain(*itertools.chain(*batches)))
    assert together == list(range(start, start + whole if drop_last else length))
    for share, own in zip(shares, batches, strict=True):
        assert share.num_positions == sum(map(len, own))
        assert not drop_last or len(own) == len(batches[0])


def test_the_batches_of_all_ranks_together_are_those_of_one_process() -> None:
    one = Shares(1000, 24, 0, 1, True, 0)
    ranks = [Shares(1000, 6, rank, 4, True, 0) for rank in range(4)]
    for step in range(len(one)):
        together = [p for rank in ranks for p in rank.positions(step)]
        assert together == list(one.positions(step))


def test_rank_and_world_size_go_together() -> None:
    assert resolve_rank(None, None) == (0, 1)
    for rank, size in [(0, None), (None, 2), (2, 2), (-1, 2), (0, 0)]:
        with pytest.raises(InvalidWindow):
            resolve_rank(rank, size)


def test_a_sampler_serves_any_dataset_with_a_length() -> None:
    samplers = [WindowSampler(range(11), 2, rank=r, world_size=2, seed=4) for r in range(2)]
    assert all(isinstance(s, torch.utils.data.DistributedSampler) for s in samplers)
    indices = [list(sampler) for sampler in samplers]
    assert [len(i) for i in indices] == [len(s) for s in samplers] == [4, 4]
    order = reference.epoch_order(11, 4, 0)
    assert indices[0] == order[0:2] + order[4:6]
    samplers[0].set_epoch(1)
    assert list(samplers[0]) != indices[0]


# ---- mixtures --------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=9), st.integers(0, 10**12))
def test_any_prefix_of_a_mixture_has_exact_proportions(weights: list[int], prefix: int) -> None:
    mixture = Mixture([(f"store{k}", weight) for k, weight in enumerate(weights)])
    counts = mixture.counts(prefix)
    assert sum(counts) == prefix
    for count, weight in zip(counts, weights, strict=True):
        assert abs(count - Fraction(weight, sum(weights)) * prefix) < 2


@given(st.lists(st.integers(1, 50), min_size=2, max_size=6), st.data())
def test_the_order_of_a_mixture_draws_what_its_counts_say(weights: list[int], data: Any) -> None:
    mixture = Mixture([(str(k), weight) for k, weight in enumerate(weights)])
    sizes = data.draw(st.lists(st.integers(1, 30), min_size=len(weights), max_size=len(weights)))
    order = Order(sizes, splits=mixture.splits, length=200, shuffle=False)
    drawn = [0] * len(sizes)
    bounds = np.cumsum(sizes)
    for position, index in enumerate(order.take(range(200)), 1):
        source = int(np.searchsorted(bounds, index, "right"))
        assert index - (bounds[source] - sizes[source]) == drawn[source] % sizes[source]
        drawn[source] += 1
        assert drawn == mixture.counts(position)


def test_each_epoch_of_a_source_of_a_mixture_visits_all_its_windows() -> None:
    mixture = Mixture([("a", 2), ("b", 1)], num_windows=30)
    draws: list[list[int]] = [[], []]
    for epoch in range(10):
        order = Order([7, 5], splits=mixture.splits, length=30, seed=1, epoch=epoch)
        for index in order.take(range(30)):
            draws[index >= 7].append(index)
    for drawn, windows in zip(draws, (range(7), range(7, 12)), strict=True):
        rounds = [drawn[k : k + len(windows)] for k in range(0, len(drawn), len(windows))][:-1]
        assert all(sorted(one) == list(windows) for one in rounds)
        assert len({tuple(one) for one in rounds}) > 1


def test_weights_may_come_out_of_any_computation() -> None:
    sizes = [3_141_592, 27_182, 1_618, 577_215_664, 69]
    tempered = [(size / sum(sizes)) ** 0.7 for size in sizes]
    mixture = Mixture([(f"store{k}", weight) for k, weight in enumerate(tempered)])
    assert sum(mixture.shares) == 1
    for share, weight in zip(mixture.shares, tempered, strict=True):
        assert abs(float(share) - weight / sum(tempered)) < 1e-16
    for prefix in (1, 10, 12345, 10**12):
        counts = mixture.counts(prefix)
        assert sum(counts) == prefix
        for count, share in zip(counts, mixture.shares, strict=True):
            assert abs(count - share * prefix) < 2
    with pytest.raises(InvalidWindow, match="common measure"):
        Mixture([("a", Fraction(1, 2**70)), ("b", 1)])


def test_weights_are_the_decimals_they_are_printed_as() -> None:
    mixture = Mixture({"a": 0.1, "b": 0.2, "c": Fraction(7, 10)})
    assert mixture.shares == (Fraction(1, 10), Fraction(1, 5), Fraction(7, 10))
    assert "a" in repr(mixture)
    for bad in (0, -1, float("nan"), float("inf"), "x", None):
        with pytest.raises(InvalidWindow, match="weight must be"):
            Mixture([("a", 1), ("b", bad)])  # type: ignore[list-item]
    with pytest.raises(InvalidWindow, match="at least one source"):
        Mixture({})
    with pytest.raises(InvalidWindow, match="common measure"):
        Mixture([("a", 1e-300), ("b", 1)])
