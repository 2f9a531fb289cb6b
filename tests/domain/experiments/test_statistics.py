from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint, proportions_ztest

from rapport.domain.experiments.statistics import (
    Sample,
    chi_square_tail,
    chi_square_test,
    newcombe_interval,
    watch_difference,
    wilson_interval,
    z_test,
)

samples = st.integers(1, 100_000).flatmap(
    lambda customers: st.builds(Sample, st.integers(0, customers), st.just(customers))
)
alphas = st.sampled_from([0.01, 0.05, 0.2])


@given(samples, alphas)
def test_wilson_intervals_are_those_of_statsmodels(sample: Sample, alpha: float):
    expected = proportion_confint(sample.conversions, sample.customers, alpha=alpha, method="wilson")
    assert wilson_interval(sample, alpha) == pytest.approx(expected, abs=1e-12)


@given(samples, samples, alphas)
def test_newcombe_intervals_are_those_of_statsmodels(treatment: Sample, control: Sample, alpha: float):
    expected = confint_proportions_2indep(*treatment, *control, method="newcomb", compare="diff", alpha=alpha)
    assert newcombe_interval(treatment, control, alpha) == pytest.approx(expected, abs=1e-12)


@given(samples, samples)
def test_the_z_test_is_that_of_statsmodels(treatment: Sample, control: Sample):
    both = treatment.plus(control)
    assume(0 < both.conversions < both.customers)
    counts, customers = zip(treatment, control, strict=True)
    z, p = proportions_ztest(counts, customers)
    assert z_test(treatment, control) == pytest.approx((z, p), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("conversions", [0, 1])
def test_where_all_or_none_convert_nothing_speaks_for_a_difference(conversions: int):
    assert z_test(Sample(conversions * 90, 90), Sample(conversions * 70, 70)) == (0.0, 1.0)


@given(st.floats(0, 2_000), st.integers(1, 60))
def test_the_chi_square_tail_is_that_of_scipy(value: float, degrees: int):
    assert chi_square_tail(value, degrees) == pytest.approx(stats.chi2.sf(value, degrees), rel=1e-9, abs=1e-280)


@given(st.lists(st.tuples(st.integers(0, 100_000), st.integers(1, 100)), min_size=2, max_size=8))
def test_the_sample_ratio_test_is_that_of_scipy(variants: list[tuple[int, int]]):
    counts, shares = zip(*variants, strict=True)
    assume(sum(counts))
    expected = stats.chisquare(counts, [sum(counts) * share / sum(shares) for share in shares])
    found = chi_square_test(counts, shares)
    assert found == pytest.approx((expected.statistic, expected.pvalue), rel=1e-8, abs=1e-280)


def test_a_customer_where_none_should_be_is_a_mismatch_for_certain():
    assert chi_square_test([100, 1], [1.0, 0.0]) == (math.inf, 0.0)
    assert chi_square_test([100, 0], [1.0, 0.0]) is None
    assert chi_square_test([0, 0], [1.0, 1.0]) is None


def test_nobody_tells_nothing():
    nobody, some = Sample(0, 0), Sample(1, 10)
    assert nobody.rate is None
    assert wilson_interval(nobody) == (0.0, 1.0)
    assert newcombe_interval(nobody, some) == newcombe_interval(some, nobody) == (-1.0, 1.0)
    assert z_test(nobody, some) is z_test(some, nobody) is None
    assert watch_difference(nobody, some) is watch_difference(some, nobody) is None


@given(samples, samples, alphas)
def test_intervals_hold_their_estimate_and_stay_in_range(treatment: Sample, control: Sample, alpha: float):
    rate = treatment.conversions / treatment.customers
    difference = rate - control.conversions / control.customers
    own = wilson_interval(treatment, alpha)
    assert 0 <= own.lower <= rate <= own.upper <= 1
    watched = watch_difference(treatment, control, alpha)
    assert watched is not None
    for interval in (newcombe_interval(treatment, control, alpha), watched.interval):
        assert -1 <= interval.lower <= difference <= interval.upper <= 1


@given(samples, samples)
def test_swapping_the_groups_swaps_the_signs(treatment: Sample, control: Sample):
    there, back = newcombe_interval(treatment, control), newcombe_interval(control, treatment)
    assert (there.lower, there.upper) == pytest.approx((-back.upper, -back.lower))
    tested, tested_back = z_test(treatment, control), z_test(control, treatment)
    assert tested is not None
    assert tested_back is not None
    assert tested.statistic == pytest.approx(-tested_back.statistic)


@given(samples, samples, alphas)
def test_the_sequential_interval_is_never_narrower_than_the_normal_one_for_a_single_look(
    treatment: Sample, control: Sample, alpha: float
):
    watched = watch_difference(treatment, control, alpha)
    assert watched is not None
    assume(watched.interval.lower > -1)
    assume(watched.interval.upper < 1)
    rates = [(sample.conversions + 1) / (sample.customers + 2) for sample in (treatment, control)]
    error = math.sqrt(
        sum(rate * (1 - rate) / one.customers for rate, one in zip(rates, (treatment, control), strict=True))
    )
    assert watched.interval.upper - watched.interval.lower > 2 * stats.norm.isf(alpha / 2) * error


@given(samples, samples)
def test_the_sequential_p_value_is_below_alpha_where_the_interval_leaves_out_zero(treatment: Sample, control: Sample):
    watched = watch_difference(treatment, control, 0.05)
    assert watched is not None
    assume(abs(watched.p_value - 0.05) > 1e-9)
    assert (watched.p_value < 0.05) == (not watched.interval.lower <= 0 <= watched.interval.upper)


def test_the_sequential_interval_is_narrowest_relative_to_a_single_look_where_it_is_tuned():
    def factor(customers: int) -> float:
        half = Sample(customers // 20, customers // 2)
        watched = watch_difference(half, half, 0.05, tuned_for=5_000)
        assert watched is not None
        rate = (half.conversions + 1) / (half.customers + 2)
        return watched.interval.upper / math.sqrt(2 * rate * (1 - rate) / half.customers) / stats.norm.isf(0.025)

    assert factor(5_000) == pytest.approx(1.55, abs=0.005)
    assert factor(1_000) > factor(3_000) > factor(5_000) < factor(8_000) < factor(50_000)


def conversions(rng: random.Random, customers: int, rate: float) -> int:
    return rng.binomialvariate(customers, rate) if hasattr(rng, "binomialvariate") else _binomial(rng, customers, rate)


def _binomial(rng: random.Random, customers: int, rate: float) -> int:
    """By waiting times, whose number is that of the conversions and not of the customers."""
    found, at = 0, 0
    while True:
        at += int(math.log(1 - rng.random()) / math.log(1 - rate)) + 1
        if at > customers:
            return found
        found += 1


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.4])
def test_a_single_look_at_no_difference_finds_one_as_often_as_alpha_says(rate: float):
    rng = random.Random(11)
    runs, customers = 4_000, 1_000
    found = 0
    for _ in range(runs):
        test = z_test(*(Sample(conversions(rng, customers, rate), customers) for _ in "ab"))
        assert test is not None
        found += test.p_value < 0.05
    assert found / runs == pytest.approx(0.05, abs=0.0125)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.4])
@pytest.mark.parametrize("interval", ["wilson", "newcombe"])
def test_single_look_intervals_cover_the_truth_as_often_as_they_say(rate: float, interval: str):
    rng = random.Random(12)
    runs, covered = 3_000, 0
    for _ in range(runs):
        treatment, control = Sample(conversions(rng, 400, rate), 400), Sample(conversions(rng, 150, rate * 0.7), 150)
        if interval == "wilson":
            low, high = wilson_interval(treatment)
            covered += low <= rate <= high
        else:
            low, high = newcombe_interval(treatment, control)
            covered += low <= rate * 0.3 <= high
    assert covered / runs == pytest.approx(0.95, abs=0.0175)


def looks(rng: random.Random, rates: tuple[float, float], sizes: tuple[int, int]) -> Iterator[tuple[Sample, Sample]]:
    """A growing experiment, looked at after every block of customers, from the minimum sample on."""
    totals = [Sample(0, 0), Sample(0, 0)]
    for _ in range(100):
        totals = [
            total.plus(Sample(conversions(rng, size, rate), size))
            for total, rate, size in zip(totals, rates, sizes, strict=True)
        ]
        if min(total.customers for total in totals) >= 50:
            yield totals[0], totals[1]


def share_of_runs(runs: int, happens: Callable[[random.Random], bool]) -> float:
    rng = random.Random(13)
    return sum(happens(rng) for _ in range(runs)) / runs


@pytest.mark.parametrize("rates", [(0.05, 0.05), (0.2, 0.2), (0.3, 0.2), (0.02, 0.05)])
@pytest.mark.parametrize("sizes", [(50, 50), (95, 5)])
def test_the_sequential_interval_covers_the_truth_at_all_looks_together(
    rates: tuple[float, float], sizes: tuple[int, int]
):
    truth = rates[0] - rates[1]

    def ever_misses(rng: random.Random) -> bool:
        for treatment, control in looks(rng, rates, sizes):
            watched = watch_difference(treatment, control)
            if watched is None or not watched.interval.lower <= truth <= watched.interval.upper:
                return True
        return False

    assert share_of_runs(200, ever_misses) <= 0.05


def test_looking_often_at_the_single_look_test_does_find_what_is_not_there():
    def ever_significant(rng: random.Random) -> bool:
        tests = (z_test(*both) for both in looks(rng, (0.2, 0.2), (50, 50)))
        return any(test is not None and test.p_value < 0.05 for test in tests)

    assert share_of_runs(200, ever_significant) > 0.2


def test_the_sequential_p_value_finds_a_real_difference():
    def found(rng: random.Random) -> bool:
        watched = [watch_difference(*both) for both in looks(rng, (0.25, 0.2), (50, 50))]
        return any(one is not None and one.p_value < 0.05 for one in watched)

    assert share_of_runs(100, found) > 0.95
