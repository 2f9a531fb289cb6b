"""Customers' values on the wire."""

from __future__ import annotations

from typing import Literal

import msgspec

from api.http.times import iso
from rapport.domain.profiles.clv import ClvRules, CustomerValue, SegmentName, compute_churn_probability, predict_revenue

Source = Literal["cached", "computed"]


class ClvView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Lifetime value of a customer.

    Attributes:
        clv_score: From 0 to 100.
        predicted_revenue: For the next 24 months.
        churn_probability: That the customer does not come back; null where there was never a contact.
        rfm_recency: Whole days since the last contact; null where there was none.
        rfm_frequency: Contacts: impressions and responses.
        rfm_monetary: Value of positive outcomes.
        computed_at: As of when.
        source: cached: worked out before this request; computed: for it.
    """

    customer_id: str
    clv_score: int
    predicted_revenue: float
    churn_probability: float | None
    rfm_recency: int | None
    rfm_frequency: int
    rfm_monetary: float
    segment: SegmentName
    computed_at: str
    source: Source


class SegmentSizes(msgspec.Struct, frozen=True, kw_only=True):
    """Number of customers in each segment."""

    high: int
    medium: int
    low: int
    at_risk: int


class ClvRun(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Result of computing the values of all customers."""

    customers_processed: int
    segments: SegmentSizes
    computed_at: str
    duration_ms: int


def build_view(customer_id: str, value: CustomerValue, rules: ClvRules, source: Source) -> ClvView:
    """As the API shows it."""
    churn = compute_churn_probability(value.recency_days, rules)
    return ClvView(
        customer_id=customer_id,
        clv_score=int(value.score + 0.5),
        predicted_revenue=round(predict_revenue(value.monetary, rules), 2),
        churn_probability=None if churn is None else round(churn, 3),
        rfm_recency=value.recency_days,
        rfm_frequency=value.frequency,
        rfm_monetary=value.monetary,
        segment=value.segment,
        computed_at=iso(value.computed_at_ms),
        source=source,
    )
