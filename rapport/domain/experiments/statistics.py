"""Intervals and tests of proportions for a single look. For repeated looks see ``sequential``.

All functions take counts of customers. A customer counts once, and has converted or has not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final, NamedTuple

ALPHA: Final = 0.05
"""Accepted probability of finding a difference where there is none."""
_NORMAL: Final = NormalDist()


class Sample(NamedTuple):
    """Customers of one variant, and how many of them have converted."""

    conversions: int
    customers: int

    @property
    def rate(self) -> float | None:
        """Conversion rate; None without customers."""
        return self.conversions / self.customers if self.customers else None

    def plus(self, other: Sample) -> Sample:
        """Add another sample."""
        return Sample(self.conversions + other.conversions, self.customers + other.customers)


class Interval(NamedTuple):
    """Range that covers the true value with the requested confidence."""

    lower: float
    upper: float


class Significance(NamedTuple):
    """Test statistic, and the probability of one at least as extreme without any effect."""

    statistic: float
    p_value: float


def compute_wilson_interval(sample: Sample, alpha: float = ALPHA) -> Interval:
    """Compute Wilson's score interval of a conversion rate, without continuity correction (Wilson 1927).

    Without customers it is everything from 0 to 1.
    """
    if not sample.customers:
        return Interval(0.0, 1.0)
    z, n = _compute_quantile(alpha), sample.customers
    rate = sample.conversions / n
    centre = rate + z * z / (2 * n)
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At the ends the bound is exactly 0 or 1; rounding must not move it.
    lower = 0.0 if not sample.conversions else max(0.0, (centre - half) / scale)
    upper = 1.0 if sample.conversions == n else min(1.0, (centre + half) / scale)
    return Interval(lower, upper)


def compute_newcombe_interval(treatment: Sample, control: Sample, alpha: float = ALPHA) -> Interval:
    """Compute the interval of the difference treatment - control from both Wilson intervals (Newcombe 1998, method 10).

    If either has no customers it is everything from -1 to 1.
    """
    if not (treatment.customers and control.customers):
        return Interval(-1.0, 1.0)
    mine, its = compute_wilson_interval(treatment, alpha), compute_wilson_interval(control, alpha)
    rate, other = treatment.conversions / treatment.customers, control.conversions / control.customers
    difference = rate - other
    return Interval(
        max(-1.0, difference - math.hypot(rate - mine.lower, its.upper - other)),
        min(1.0, difference + math.hypot(mine.upper - rate, other - its.lower)),
    )


def run_z_test(treatment: Sample, control: Sample) -> Significance | None:
    """Test two proportions with the pooled standard error, two-tailed.

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


def run_chi_square_test(customers: Sequence[int], shares: Sequence[float]) -> Significance | None:
    """Test with Pearson's chi-square whether customers are spread over variants by their shares.

    Args:
        customers: Customers per variant.
        shares: Configured shares in the same order; only their proportions count.

    Returns:
        None if there is nothing to compare: fewer than two variants, or no customers. A customer in a variant that
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
    return Significance(statistic, compute_chi_square_tail(statistic, len(counted) - 1))


def compute_chi_square_tail(value: float, degrees: int) -> float:
    """Compute the probability that a chi-square variable is at least as large as a value.

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


def _compute_quantile(alpha: float) -> float:
    return _NORMAL.inv_cdf(1 - alpha / 2)
