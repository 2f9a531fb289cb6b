"""Values of behavioral metrics on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec


class CustomerMetrics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All metrics of one customer.

    Attributes:
        values: By the metric's key; null for the average or extreme of nothing.
        computed_at: When the windows end.
    """

    customer_id: str
    values: Mapping[str, float | None]
    computed_at: str


class MetricValue(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One metric of one customer; null for the average or extreme of nothing."""

    customer_id: str
    value: float | None


class MetricValues(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One metric of some customers, in the order of the request."""

    id: str
    key: str
    data: Sequence[MetricValue]
    computed_at: str
