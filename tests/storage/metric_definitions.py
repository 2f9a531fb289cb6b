"""Definitions of metrics."""

from __future__ import annotations

from typing import Any

from rapport.domain.catalogue.strategy import MetricDefinition


def metric(key: str = "m", aggregate: Any = "count", field: Any = "*", **rest: Any) -> MetricDefinition:
    return MetricDefinition(id=key, name=key, key=key, aggregate_function=aggregate, source_field=field, **rest)
