"""Behavioral metrics: numbers per customer, computed from the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import polars as pl

from rapport.domain.events import FIRST_ID, make_first_id
from rapport.domain.periods import DAY_MS

if TYPE_CHECKING:
    from rapport.domain.catalogue.strategy import MetricDefinition
    from rapport.storage.client import Store

CUSTOMERS: Final = {"customer_id": pl.String, "member": pl.String}
_WINDOWS: Final = {
    "number": pl.UInt32,
    "aggregate": pl.String,
    "field": pl.String,
    "from_id": pl.String,
    "filters": pl.UInt32,
    "contacts_only": pl.UInt32,
}
_FILTERS: Final = {"number": pl.UInt32, "field": pl.String, "accepted": pl.String}
_WITHOUT_EVENTS: Final = {"count": 0.0, "sum": 0.0}
"""Values without matching events; averages and extremes have none then."""


def read_metrics(
    store: Store,
    tenant_id: str,
    customers: Sequence[str] | Mapping[str, Sequence[str]],
    definitions: Sequence[MetricDefinition],
    now_ms: int,
) -> Mapping[str, Mapping[str, float]]:
    """Compute some metrics of some customers, with one query.

    A window of n days reaches from n times 24 hours before now up to now, both included; events dated later than now do
    not count. Recommendations are no contacts: they count only in a metric that filters by outcome or category. A
    filter that names a field no event has, or accepts no value, matches nothing.

    Args:
        store: The database.
        tenant_id: The tenant.
        customers: Customer ids, or all ids of each customer by the id for the result; unknown ones have no events.
        definitions: Metrics of the tenant, with different keys.
        now_ms: End of the windows, epoch milliseconds.

    Returns:
        Values by customer, then by metric key, for all customers. Counts and sums always have a value, ``avg``, ``min``
        and ``max`` only where something matches. Over ``*`` each event is 1; over ``conversion_value`` events without
        one are left out.
    """
    values = {customer: _default_values(definitions) for customer in customers}
    if not (values and definitions):
        return values
    starts = [find_first_id(definition, now_ms) for definition in definitions]
    found = store.select(
        "metrics/values",
        {"tenant_id": tenant_id, "first_id": min(starts), "before_id": make_first_id(now_ms + 1)},
        frames={
            "metric_customers": _member_frame(customers),
            **build_metric_frames(definitions, starts),
        },
    )
    for row in found.iter_rows(named=True):
        values[row["customer_id"]][definitions[row["number"]].key] = row["value"]
    return values


def _member_frame(customers: Sequence[str] | Mapping[str, Sequence[str]]) -> pl.DataFrame:
    ids = customers if isinstance(customers, Mapping) else {customer: (customer,) for customer in customers}
    rows = [(customer, member) for customer, members in ids.items() for member in members]
    return pl.DataFrame(rows, schema=CUSTOMERS, orient="row")


def _default_values(definitions: Sequence[MetricDefinition]) -> dict[str, float]:
    return {
        definition.key: _WITHOUT_EVENTS[definition.aggregate_function]
        for definition in definitions
        if definition.aggregate_function in _WITHOUT_EVENTS
    }


def find_first_id(definition: MetricDefinition, now_ms: int) -> str:
    """Return the smallest id that an event in a metric's window can have."""
    if definition.window_days is None:
        return FIRST_ID
    return make_first_id(now_ms - definition.window_days * DAY_MS)


def build_metric_frames(definitions: Sequence[MetricDefinition], starts: Sequence[str]) -> Mapping[str, pl.DataFrame]:
    """Build the tables that queries join with for metrics, numbered in the order of the definitions."""
    return {"metric_windows": _window_frame(definitions, starts), "metric_filters": _filter_frame(definitions)}


def _window_frame(definitions: Sequence[MetricDefinition], starts: Sequence[str]) -> pl.DataFrame:
    rows = [
        (
            number,
            definition.aggregate_function,
            definition.source_field,
            start,
            len(definition.filter_conditions),
            int(definition.filter_conditions.keys().isdisjoint(("outcome", "category"))),
        )
        for number, (definition, start) in enumerate(zip(definitions, starts, strict=True))
    ]
    return pl.DataFrame(rows, schema=_WINDOWS, orient="row")


def _filter_frame(definitions: Sequence[MetricDefinition]) -> pl.DataFrame:
    rows = [
        (number, field, accepted)
        for number, definition in enumerate(definitions)
        for field, values in definition.filter_conditions.items()
        for accepted in values
    ]
    return pl.DataFrame(rows, schema=_FILTERS, orient="row")
