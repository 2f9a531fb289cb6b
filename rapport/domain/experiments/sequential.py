"""Sequential comparison of two proportions, valid at any time while customers still come.

A test for a single look, repeated until it is significant, finds something sooner or later. The intervals and p-values
here are valid at all looks together. They rest on one quantity per variant: the *evidence against a rate* p,

    log  B(k p + s, k (1 - p) + n - s) / B(k p, k (1 - p))  -  s log p  -  (n - s) log(1 - p)

with n customers of whom s have converted, and B the beta function: the likelihood of a rate drawn around p over that
of p itself (a mixture, after Robbins, *Statistical methods related to the law of the iterated logarithm*, 1970). While
p is the truth, its exponential is a martingale that starts at 1, so that it ever exceeds 1 / alpha with a probability
of alpha at most (Ville's inequality): for every number of customers, however small, and every split of them. Two
variants are independent, so their evidence adds up, and the difference of two rates can be as large as that of any pair
of rates whose evidence is below log(1 / alpha) (Turner and Gruenwald, *Exact anytime-valid confidence intervals for
contingency tables and beyond*, Statistics & Probability Letters, 2023).

Evidence is convex in p, so the pairs are a convex set, and each search here has one minimum.

The guarantee holds for customers whose outcome is known when they are counted. Conversions that come late make both
variants look worse for a while; that alone does not tell them apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from rapport.domain.experiments.statistics import ALPHA, Interval, Sample

CONCENTRATION: Final = 300.0
"""The k above, which must not be chosen by looking at the data. With it intervals are 1.75 to 2 times as wide as those
for a single look at 500 to 20,000 customers a variant, and 2.2 times at 100,000."""

_SMALLEST: Final = 1e-12
_GOLDEN: Final = (math.sqrt(5) - 1) / 2
_NARROWINGS: Final = 48
"""Steps of a search for a minimum; each leaves 0.618 of the range."""
_HALVINGS: Final = 26
"""Steps of a search for a bound, which is right to 3e-8."""


def compute_evidence_against(rate: float, sample: Sample) -> float:
    """Compute the evidence of a sample against a conversion rate, as the module defines it."""
    rate = min(max(rate, _SMALLEST), 1 - _SMALLEST)
    converted, others = sample.conversions, sample.customers - sample.conversions
    mixed = (
        _log_rising_factorial(CONCENTRATION * rate, converted)
        + _log_rising_factorial(CONCENTRATION * (1 - rate), others)
        - _log_rising_factorial(CONCENTRATION, sample.customers)
    )
    return mixed - converted * math.log(rate) - others * math.log1p(-rate)


def compute_sequential_p_value(treatment: Sample, control: Sample, difference: float = 0.0) -> float | None:
    """Compute the anytime-valid p-value of the hypothesis that rates differ by ``difference`` (treatment - control).

    If they do, it is ever below alpha, at all looks together, with a probability of alpha at most.

    Returns:
        None if either has no customers.
    """
    if not (treatment.customers and control.customers):
        return None
    return min(1.0, math.exp(-_minimise_evidence(treatment, control, difference)))


def compute_sequential_interval(treatment: Sample, control: Sample, alpha: float = ALPHA) -> Interval:
    """Compute an interval that covers the difference treatment - control at all looks together.

    It holds exactly the differences whose :func:`compute_sequential_p_value` is above alpha. Without customers in
    either it is everything from -1 to 1.
    """
    if not (treatment.customers and control.customers):
        return Interval(-1.0, 1.0)
    enough = -math.log(alpha)
    estimate = treatment.conversions / treatment.customers - control.conversions / control.customers

    def is_refuted(difference: float) -> bool:
        return _minimise_evidence(treatment, control, difference) >= enough

    return Interval(_find_bound(is_refuted, estimate, -1.0), _find_bound(is_refuted, estimate, 1.0))


def _minimise_evidence(treatment: Sample, control: Sample, difference: float) -> float:
    """Minimise the evidence over all pairs of rates with a difference."""

    def evidence(rate: float) -> float:
        return compute_evidence_against(rate + difference, treatment) + compute_evidence_against(rate, control)

    return _find_minimum(evidence, max(0.0, -difference), min(1.0, 1 - difference))


def _find_minimum(function: Callable[[float], float], low: float, high: float) -> float:
    """Find the smallest value of a convex function in a range, by golden section."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(_NARROWINGS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = function(right)
    return min(at_left, at_right)


def _find_bound(is_refuted: Callable[[float], bool], inside: float, limit: float) -> float:
    """Bisect from a point inside towards a limit for the last point not refuted; if in doubt, a little further."""
    if not is_refuted(limit):
        return limit
    outside = limit
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        if is_refuted(middle):
            outside = middle
        else:
            inside = middle
    return outside


def _log_rising_factorial(start: float, count: int) -> float:
    """Compute the logarithm of start (start + 1) … (start + count - 1)."""
    return math.lgamma(start + count) - math.lgamma(start)
