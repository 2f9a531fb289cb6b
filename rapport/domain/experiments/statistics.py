"""Proportions compared: intervals, tests, and an interval that may be looked at as often as one likes.

Everything takes counts of customers. A customer counts once, and has converted or has not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final, NamedTuple

ALPHA: Final = 0.05
"""How often a difference may be found where there is none."""
TUNED_FOR: Final = 5_000
"""The number of customers at which the sequential interval is narrowest; it is valid at every number."""
_NORMAL: Final = NormalDist()


class Sample(NamedTuple):
    """Customers of one variant, and how many of them have converted."""

    conversions: int
    customers: int

    @property
    def rate(self) -> float | None:
        """The part that has converted; None without customers."""
        return self.conversions / self.customers if self.customers else None

    def plus(self, other: Sample) -> Sample:
        """Both together."""
        return Sample(self.conversions + other.conversions, self.customers + other.customers)


class Interval(NamedTuple):
    """A range that covers the truth with the confidence asked for."""

    lower: float
    upper: float


class Significance(NamedTuple):
    """A test statistic, and how likely one at least as extreme is without any effect."""

    statistic: float
    p_value: float


def wilson_interval(sample: Sample, alpha: float = ALPHA) -> Interval:
    """Wilson's score interval of a conversion rate, without continuity correction (Wilson 1927).

    Without customers it is everything from 0 to 1.
    """
    if not sample.customers:
        return Interval(0.0, 1.0)
    z, n = _quantile(alpha), sample.customers
    rate = sample.conversions / n
    centre = rate + z * z / (2 * n)
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At the ends the bound is exactly 0 or 1; rounding must not move it.
    lower = 0.0 if not sample.conversions else max(0.0, (centre - half) / scale)
    upper = 1.0 if sample.conversions == n else min(1.0, (centre + half) / scale)
    return Interval(lower, upper)


def newcombe_interval(treatment: Sample, control: Sample, alpha: float = ALPHA) -> Interval:
    """The interval of the difference treatment - control out of both Wilson intervals (Newcombe 1998, method 10).

    If either has no customers it is everything from -1 to 1.
    """
    if not (treatment.customers and control.customers):
        return Interval(-1.0, 1.0)
    mine, its = wilson_interval(treatment, alpha), wilson_interval(control, alpha)
    rate, other = treatment.conversions / treatment.customers, control.conversions / control.customers
    difference = rate - other
    return Interval(
        max(-1.0, difference - math.hypot(rate - mine.lower, its.upper - other)),
        min(1.0, difference + math.hypot(mine.upper - rate, other - its.lower)),
    )


def z_test(treatment: Sample, control: Sample) -> Significance | None:
    """The two-proportion z-test with the pooled standard error, two-tailed.

    Returns:
        None if either has no customers. Where all or none have converted, nothing speaks for a difference: z is 0.
    """
    if not (treatment.customers and control.customers):
        return None
    both = treatment.plus(control)
    pooled = both.conversions / both.customers
    error = math.sqrt(pooled * (1 - pooled) * (1 / treatment.customers + 1 / control.customers))
    if error == 0:
        return Significance(0.0, 1.0)
    difference = treatment.conversions / treatment.customers - control.conversions / control.customers
    z = difference / error
    return Significance(z, math.erfc(abs(z) / math.sqrt(2)))


def chi_square_test(customers: Sequence[int], shares: Sequence[float]) -> Significance | None:
    """Pearson's chi-square test of whether customers are spread over variants as they should be.

    Args:
        customers: Per variant.
        shares: What each should get, in the same order; only their proportions count.

    Returns:
        None where there is nothing to compare: fewer than two variants, or no customers. A customer in a variant that
        should have none gives an infinite statistic and a p-value of 0.
    """
    total, whole = sum(customers), sum(shares)
    expected = [total * share / whole for share in shares] if whole else []
    if any(count and not share for count, share in zip(customers, shares, strict=True)):
        return Significance(math.inf, 0.0)
    counted = [(count, mean) for count, mean in zip(customers, expected, strict=True) if mean > 0]
    if len(counted) < 2:
        return None
    statistic = sum((count - mean) ** 2 / mean for count, mean in counted)
    return Significance(statistic, chi_square_tail(statistic, len(counted) - 1))


def chi_square_tail(value: float, degrees: int) -> float:
    """How likely a chi-square variable is to be at least as large as a value.

    The upper regularised gamma function at half-integers, by its recurrence
    Q(s + 1, x) = Q(s, x) + x^s e^-x / gamma(s + 1).
    """
    x = value / 2
    if x <= 0:
        return 1.0
    s, tail = (1.0, math.exp(-x)) if degrees % 2 == 0 else (0.5, math.erfc(math.sqrt(x)))
    while s < degrees / 2:
        tail += math.exp(s * math.log(x) - x - math.lgamma(s + 1))
        s += 1
    return min(1.0, tail)


class Sequential(NamedTuple):
    """What may be looked at after every customer.

    Attributes:
        interval: Covers the true difference at all looks together, with the confidence asked for.
        p_value: Stays above alpha at all looks together, with that confidence, where there is no difference.
    """

    interval: Interval
    p_value: float


def watch_difference(
    treatment: Sample, control: Sample, alpha: float = ALPHA, tuned_for: int = TUNED_FOR
) -> Sequential | None:
    """An anytime-valid interval and p-value of the difference treatment - control.

    The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (*Time-uniform central limit
    theory and asymptotic confidence sequences*, Annals of Statistics 2024, theorem 2.2: Robbins' normal mixture), for
    the influence function of a difference of means. With n customers in all, V = p1(1-p1)/n1 + p0(1-p0)/n0 and a tuning
    constant r it is::

        difference ± sqrt(V) * sqrt(2 (n r + 1) / (n r) * log(sqrt(n r + 1) / alpha))

    and the p-value is the smallest alpha whose interval leaves out zero. The rates in V are (conversions + 1) /
    (customers + 2), so that the first customers, who rarely convert, do not pretend certainty. Where it is narrowest
    it is 1.55 times as wide as the interval for a single look. Like the central limit theorem it holds for samples that
    are not tiny: begin to look at the minimum sample.

    Args:
        treatment: So far.
        control: So far.
        alpha: How often the interval may ever leave out the truth.
        tuned_for: Customers at which it is narrowest. Must not be chosen by looking at the data.

    Returns:
        None if either has no customers.
    """
    if not (treatment.customers and control.customers):
        return None
    n = treatment.customers + control.customers
    spread = n * _mixture(alpha, tuned_for)
    deviation = math.sqrt(_variance(treatment) + _variance(control))
    difference = treatment.conversions / treatment.customers - control.conversions / control.customers
    half = deviation * math.sqrt(2 * (spread + 1) / spread * math.log(math.sqrt(spread + 1) / alpha))
    evidence = (difference / deviation) ** 2 * spread / (2 * (spread + 1))
    return Sequential(
        Interval(max(-1.0, difference - half), min(1.0, difference + half)),
        min(1.0, math.sqrt(spread + 1) * math.exp(-evidence)),
    )


def _mixture(alpha: float, tuned_for: int) -> float:
    """The constant that makes the sequence narrowest after so many customers (from the same paper)."""
    twice_log = -2 * math.log(alpha)
    return (twice_log + math.log(twice_log + 1)) / tuned_for


def _variance(sample: Sample) -> float:
    rate = (sample.conversions + 1) / (sample.customers + 2)
    return rate * (1 - rate) / sample.customers


def _quantile(alpha: float) -> float:
    return _NORMAL.inv_cdf(1 - alpha / 2)
