from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint, proportions_ztest

from rapport.domain.experiments.statistics import (
    Sample,
    compute_chi_square_tail,
    compute_newcombe_interval,
    compute_wilson_interval,
    run_chi_square_test,
    run_z_test,
)

samples = st.integers(1, 100_000).flatmap(
    lambda customers: st.builds(Sample, st.integers(0, customers), st.just(customers))
)
alphas = st.sampled_from([0.01, 0.05, 0.2])


@given(samples, alphas)
def test_wilson_intervals_are_those_of_statsmodels(sample: Sample, alpha: float):
    expected = proportion_confint(sample.conversions, sample.customers, alpha=alpha, method="wilson")
    assert compute_wilson_interval(sample, alpha) == pytest.approx(expected, abs=1e-12)


@given(samples, samples, alphas)
def test_newcombe_intervals_are_those_of_statsmodels(treatment: Sample, control: Sample, alpha: float):
    expected = confint_proportions_2indep(*treatment, *control, method="newcomb", compare="diff", alpha=alpha)
    assert compute_newcombe_interval(treatment, control, alpha) == pytest.approx(expected, abs=1e-12)


@given(samples, samples)
def test_the_z_test_is_that_of_statsmodels(treatment: Sample, control: Sample):
    both = treatment.plus(control)
    assume(0 < both.conversions < both.customers)
    counts, customers = zip(treatment, control, strict=True)
    z, p = proportions_ztest(counts, customers)
    assert run_z_test(treatment, control) == pytest.approx((z, p), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("conversions", [0, 1])
def test_the_z_score_is_0_if_all_or_none_convert(conversions: int):
    assert run_z_test(Sample(conversions * 90, 90), Sample(conversions * 70, 70)) == (0.0, 1.0)


@given(st.floats(0, 2_000), st.integers(1, 60))
def test_the_chi_square_tail_is_that_of_scipy(value: float, degrees: int):
    assert compute_chi_square_tail(value, degrees) == pytest.approx(stats.chi2.sf(value, degrees), rel=1e-9, abs=1e-280)


@given(st.lists(st.tuples(st.integers(0, 100_000), st.integers(1, 100)), min_size=2, max_size=8))
def test_the_sample_ratio_test_is_that_of_scipy(variants: list[tuple[int, int]]):
    counts, shares = zip(*variants, strict=True)
    assume(sum(counts))
    expected = stats.chisquare(counts, [sum(counts) * share / sum(shares) for share in shares])
    found = run_chi_square_test(counts, shares)
    assert found == pytest.approx((expected.statistic, expected.pvalue), rel=1e-8, abs=1e-280)


def test_a_customer_in_a_variant_without_a_share_has_a_p_value_of_0():
    assert run_chi_square_test([100, 1], [1.0, 0.0]) == (math.inf, 0.0)
    assert run_chi_square_test([100, 0], [1.0, 0.0]) is None
    assert run_chi_square_test([0, 0], [1.0, 1.0]) is None


def test_samples_without_customers_give_no_result():
    nobody, some = Sample(0, 0), Sample(1, 10)
    assert nobody.rate is None
    assert compute_wilson_interval(nobody) == (0.0, 1.0)
    assert compute_newcombe_interval(nobody, some) == compute_newcombe_interval(some, nobody) == (-1.0, 1.0)
    assert run_z_test(nobody, some) is run_z_test(some, nobody) is None


@given(samples, samples, alphas)
def test_intervals_hold_their_estimate_and_stay_in_range(treatment: Sample, control: Sample, alpha: float):
    rate = treatment.conversions / treatment.customers
    own = compute_wilson_interval(treatment, alpha)
    assert 0 <= own.lower <= rate <= own.upper <= 1
    difference = compute_newcombe_interval(treatment, control, alpha)
    assert -1 <= difference.lower <= rate - control.conversions / control.customers <= difference.upper <= 1


@given(samples, samples)
def test_swapping_the_groups_swaps_the_signs(treatment: Sample, control: Sample):
    there, back = compute_newcombe_interval(treatment, control), compute_newcombe_interval(control, treatment)
    assert (there.lower, there.upper) == pytest.approx((-back.upper, -back.lower))
    tested, tested_back = run_z_test(treatment, control), run_z_test(control, treatment)
    assert tested is not None
    assert tested_back is not None
    assert tested.statistic == pytest.approx(-tested_back.statistic)


def drawn(seed: int, customers: int, rate: float, runs: int) -> list[Sample]:
    """Draw the samples of a variant of so many customers in many runs of an experiment."""
    found = np.random.default_rng(seed).binomial(customers, rate, runs)
    return [Sample(int(conversions), customers) for conversions in found]


RUNS = 4_000


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.4])
def test_single_looks_have_false_positives_at_the_rate_of_alpha(rate: float):
    pairs = zip(drawn(1, 1_000, rate, RUNS), drawn(2, 1_000, rate, RUNS), strict=True)
    tests = [run_z_test(*pair) for pair in pairs]
    found = sum(test is not None and test.p_value < 0.05 for test in tests)
    assert found / RUNS == pytest.approx(0.05, abs=0.0125)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.4])
def test_single_look_intervals_cover_the_truth_at_their_confidence(rate: float):
    treatments, controls = drawn(3, 800, rate, RUNS), drawn(4, 500, rate * 0.7, RUNS)
    own = [compute_wilson_interval(treatment) for treatment in treatments]
    assert sum(one.lower <= rate <= one.upper for one in own) / RUNS == pytest.approx(0.95, abs=0.0125)
    both = [compute_newcombe_interval(*pair) for pair in zip(treatments, controls, strict=True)]
    assert sum(one.lower <= rate * 0.3 <= one.upper for one in both) / RUNS == pytest.approx(0.95, abs=0.0125)


def test_a_split_by_the_shares_is_rarely_a_mismatch():
    shares = [0.72, 0.18, 0.1]
    counts = np.random.default_rng(5).multinomial(2_000, shares, RUNS)
    p_values = [test.p_value for row in counts.tolist() if (test := run_chi_square_test(row, shares))]
    assert len(p_values) == RUNS
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3
