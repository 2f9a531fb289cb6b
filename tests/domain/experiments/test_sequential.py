from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from scipy.special import betaln

from rapport.domain.experiments.sequential import (
    CONCENTRATION,
    compute_evidence_against,
    compute_sequential_interval,
    compute_sequential_p_value,
)
from rapport.domain.experiments.statistics import Sample, compute_newcombe_interval, run_z_test

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

samples = st.integers(1, 100_000).flatmap(
    lambda customers: st.builds(Sample, st.integers(0, customers), st.just(customers))
)
rates = st.floats(1e-6, 1 - 1e-6)
distances = st.floats(-4, 4)
FEW = settings(max_examples=25, deadline=None)


def evidence(rate: float, conversions: Numbers, customers: Numbers) -> Numbers:
    """Compute the evidence by its formula, for whole arrays."""
    mine, others = CONCENTRATION * rate, CONCENTRATION * (1 - rate)
    mixed = betaln(mine + conversions, others + customers - conversions) - betaln(mine, others)
    found: Numbers = mixed - conversions * np.log(rate) - (customers - conversions) * np.log1p(-rate)
    return found


def rate_near(sample: Sample, distance: float) -> float:
    """Return a rate so many standard errors from a sample's rate."""
    rate = (sample.conversions + 1) / (sample.customers + 2)
    return min(max(rate + distance * math.sqrt(rate * (1 - rate) / sample.customers), 1e-9), 1 - 1e-9)


def looks(seed: int, rate: float, size: int, runs: int = 3_000) -> tuple[Numbers, Numbers]:
    """Draw conversions and customers of growing variants, one a row, after each of 100 blocks of customers."""
    blocks = np.random.default_rng(seed).binomial(size, rate, (runs, 100))
    return np.cumsum(blocks, axis=1).astype(float), np.arange(1, 101) * float(size)


@given(rates, samples)
def test_evidence_equals_its_formula(rate: float, sample: Sample):
    expected = float(evidence(rate, np.array(float(sample.conversions)), np.array(float(sample.customers))))
    assert compute_evidence_against(rate, sample) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("truth", [(0.05, 0.05), (0.2, 0.2), (0.3, 0.2), (0.02, 0.05)])
@pytest.mark.parametrize("sizes", [(50, 50), (95, 5), (1, 1)])
def test_the_true_rates_are_rarely_ever_refuted_at_all_looks_from_the_first_on(
    truth: tuple[float, float], sizes: tuple[int, int]
):
    variants = zip((1, 2), truth, sizes, strict=True)
    total = sum(evidence(rate, *looks(seed, rate, size)) for seed, rate, size in variants)
    ever = np.mean(np.max(total, axis=1) >= math.log(1 / 0.05))
    assert ever <= 0.05


@FEW
@given(samples, samples, distances, distances, st.sampled_from([0.01, 0.05, 0.2]))
def test_the_interval_holds_the_difference_of_all_rates_that_are_not_refuted(
    treatment: Sample, control: Sample, distance: float, other_distance: float, alpha: float
):
    rate, other = rate_near(treatment, distance), rate_near(control, other_distance)
    interval = compute_sequential_interval(treatment, control, alpha)
    estimate = treatment.conversions / treatment.customers - control.conversions / control.customers
    assert -1 <= interval.lower <= estimate <= interval.upper <= 1
    if compute_evidence_against(rate, treatment) + compute_evidence_against(other, control) < math.log(1 / alpha):
        assert interval.lower <= rate - other <= interval.upper


@FEW
@given(samples, samples, st.floats(-0.99, 0.99))
def test_the_p_value_takes_the_rates_that_are_refuted_least(treatment: Sample, control: Sample, difference: float):
    low, high = max(0.0, -difference), min(1.0, 1 - difference)
    found = optimize.minimize_scalar(
        lambda rate: compute_evidence_against(rate + difference, treatment) + compute_evidence_against(rate, control),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-10},
    )
    p_value = compute_sequential_p_value(treatment, control, difference)
    assert p_value is not None
    assert p_value >= min(1.0, math.exp(-found.fun)) * (1 - 1e-3)


@FEW
@given(samples, samples)
def test_the_interval_leaves_out_zero_where_the_p_value_is_below_alpha(treatment: Sample, control: Sample):
    p_value = compute_sequential_p_value(treatment, control)
    assert p_value is not None
    assume(abs(p_value - 0.05) > 1e-3)
    interval = compute_sequential_interval(treatment, control)
    assert (p_value < 0.05) == (not interval.lower <= 0 <= interval.upper)


def test_repeated_looks_find_false_positives_with_the_single_look_test_only():
    mine, its = looks(3, 0.2, 50, 150), looks(4, 0.2, 50, 150)
    single = sequential = 0
    for conversions, others in zip(mine[0], its[0], strict=True):
        pairs = [
            (Sample(int(a), int(n)), Sample(int(b), int(m)))
            for a, n, b, m in zip(conversions, mine[1], others, its[1], strict=True)
        ]
        single += any(test is not None and test.p_value < 0.05 for test in (run_z_test(*pair) for pair in pairs))
        sequential += any((compute_sequential_p_value(*pair) or 1) < 0.05 for pair in pairs[::5])
    assert single / 150 > 0.25
    assert sequential / 150 <= 0.05


def test_a_real_difference_is_found():
    mine, its = looks(5, 0.25, 50, 100), looks(6, 0.2, 50, 100)
    found = sum(
        any(
            (compute_sequential_p_value(Sample(int(a[at]), 50 * at + 50), Sample(int(b[at]), 50 * at + 50)) or 1) < 0.05
            for at in range(19, 100, 20)
        )
        for a, b in zip(mine[0], its[0], strict=True)
    )
    assert found / 100 > 0.9


@pytest.mark.parametrize(("customers", "factor"), [(500, 1.9), (1_000, 1.8), (20_000, 2.0), (100_000, 2.2)])
def test_anytime_valid_intervals_are_wider_by_a_known_factor(customers: int, factor: float):
    half = Sample(customers // 10, customers)
    watched, single = compute_sequential_interval(half, half), compute_newcombe_interval(half, half)
    assert 1.5 < watched.upper / single.upper <= factor
    assert watched.upper > stats.norm.isf(0.025) * math.sqrt(2 * 0.09 / customers)


def test_samples_without_customers_give_no_result():
    nobody, some = Sample(0, 0), Sample(1, 10)
    assert compute_sequential_p_value(nobody, some) is compute_sequential_p_value(some, nobody) is None
    assert compute_sequential_interval(nobody, some) == compute_sequential_interval(some, nobody) == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("treatment", "control", "expected"),
    [(Sample(0, 1), Sample(0, 1), (-1.0, 1.0)), (Sample(1, 10**7), Sample(10**7, 10**7), (-1.0, -0.999998))],
)
def test_the_interval_stays_sensible_at_the_ends(treatment: Sample, control: Sample, expected: tuple[float, float]):
    assert compute_sequential_interval(treatment, control) == pytest.approx(expected, abs=1e-6)
