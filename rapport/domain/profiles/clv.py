"""Customer lifetime value: recency, frequency and monetary value (RFM), ranked within the tenant.

A customer's rank in each of the three is a mid-rank: the share of the tenant's customers who rank lower, and half
of those who rank equal, the customer included. So it lies above 0 and below 1, equal customers rank equal, and
reversing the order mirrors the rank.

A score in the upper quartile of the tenant's scores is high, down to the lower one medium, and low below;
quartiles between two scores are interpolated. The numbers in :class:`ClvRules` are those of the documented product as
far as it shows them; the last four are inferred from its only examples.
"""

from __future__ import annotations

import math
from typing import Final, Literal

import msgspec

SEGMENTS: Final = ("high", "medium", "low", "at_risk")
SegmentName = Literal["high", "medium", "low", "at_risk"]


class ClvRules(msgspec.Struct, frozen=True, kw_only=True):
    """Weights and parameters of the customer lifetime value.

    Attributes:
        recency_weight: Of 100 points, as the other weights; the fewer days since the last contact, the better.
        frequency_weight: Weight of the number of contacts: impressions and responses.
        monetary_weight: Weight of the value of positive outcomes, less what was taken back.
        at_risk_days: Days since the last contact from which on a customer is at risk, whatever the score.
        horizon_months: Months for which revenue is predicted.
        observed_months: Months over which the monetary value is taken to have come about.
        churn_midpoint_days: Days since the last contact after which half of such customers do not come back.
        churn_steepness: Slope of the logistic churn curve, per day.
    """

    recency_weight: int = 35
    frequency_weight: int = 35
    monetary_weight: int = 30
    at_risk_days: int = 30
    horizon_months: float = 24.0
    observed_months: float = 6.0
    churn_midpoint_days: float = 30.0
    churn_steepness: float = 0.08

    @property
    def is_sound(self) -> bool:
        """Whether the weights and the observed months allow a computation."""
        weights = (self.recency_weight, self.frequency_weight, self.monetary_weight)
        return (
            all(0 <= weight <= 1_000 for weight in (*weights, self.at_risk_days))
            and any(weights)
            and (self.observed_months > 0)
        )


DEFAULT_RULES: Final = ClvRules()


class CustomerValue(msgspec.Struct, frozen=True, kw_only=True):
    """The lifetime value of one customer.

    Attributes:
        score: From 0 to 100.
        recency_days: Whole days since the last contact; None for a customer without any.
        frequency: Number of contacts.
        monetary: In the tenant's currency.
        computed_at_ms: Time of the computation, epoch milliseconds.
    """

    score: float
    segment: SegmentName
    recency_days: int | None
    frequency: int
    monetary: float
    computed_at_ms: int


def make_zero_value(now_ms: int) -> CustomerValue:
    """Return the value of a customer who was never contacted."""
    return CustomerValue(score=0.0, segment="low", recency_days=None, frequency=0, monetary=0.0, computed_at_ms=now_ms)


def predict_revenue(monetary: float, rules: ClvRules = DEFAULT_RULES) -> float:
    """Extrapolate a customer's revenue over the horizon; 0 if more was taken back than spent."""
    return max(monetary, 0.0) / rules.observed_months * rules.horizon_months


def compute_churn_probability(recency_days: int | None, rules: ClvRules = DEFAULT_RULES) -> float | None:
    """Return the probability that a customer does not come back (logistic); None without any contact."""
    if recency_days is None:
        return None
    distance = rules.churn_steepness * (recency_days - rules.churn_midpoint_days)
    return 1 / (1 + math.exp(-min(max(distance, -500.0), 500.0)))
