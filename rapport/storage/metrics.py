"""Behavioral metrics: numbers per customer, computed from the history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import polars as pl

from rapport.domain.events import FIRST_ID, make_first_id
from rapport.domain.metrics import ZERO, Amounts, compute_value
from rapport.domain.periods import DAY_MS

if TYPE_CHECKING:
    from rapport.domain.catalogue.strategy import MetricDefinition
    from rapport.storage.client import Store

CUSTOMERS: Final = {"customer_id": pl.String, "member": pl.String}
_MAX_TEXT: Final = 65_536
"""Length of the definitions of one query: ClickHouse refuses parameters of more than 131,072 letters."""
_NONE: Final = Amounts(0, ZERO, ZERO, ZERO)

MetricWindow = tuple[int, str, str, str, int, int]
"""Number, aggregate function, source field, first id, number of filters, and whether only contacts count."""
MetricFilter = tuple[int, str, str]
"""Number of a metric, field, and one of the values that are accepted."""


def read_metrics(
    store: Store,
    tenant_id: str,
    customers: Sequence[str] | Mapping[str, Sequence[str]],
    definitions: Sequence[MetricDefinition],
    now_ms: int,
) -> Mapping[str, Mapping[str, float]]:
    """Compute some metrics of some customers, with one query, or several if the definitions are long.

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
    values: dict[str, dict[str, float]] = {customer: {} for customer in customers}
    members = _member_frame(customers)
    for part in _split(definitions) if values else ():
        found = store.select(
            "metrics/values", build_metric_parameters(tenant_id, part, now_ms), frames={"metric_customers": members}
        )
        amounts = {(customer, number): Amounts(*row) for customer, number, *row in found.iter_rows()}
        for customer, of_customer in values.items():
            for number, definition in enumerate(part):
                value = compute_value(definition, amounts.get((customer, number), _NONE))
                if value is not None:
                    of_customer[definition.key] = value
    return values


def build_metric_parameters(
    tenant_id: str, definitions: Sequence[MetricDefinition], now_ms: int
) -> dict[str, str | Sequence[MetricWindow] | Sequence[MetricFilter]]:
    """Build the parameters of the view ``metric_amounts``, which numbers metrics in the order of the definitions."""
    starts = [_find_first_id(definition, now_ms) for definition in definitions]
    return {
        "tenant_id": tenant_id,
        "first_id": min(starts, default=FIRST_ID),
        "before_id": make_first_id(now_ms + 1),
        "windows": [
            (
                number,
                definition.aggregate_function,
                definition.source_field,
                start,
                len(definition.filter_conditions),
                int(definition.filter_conditions.keys().isdisjoint(("outcome", "category"))),
            )
            for number, (definition, start) in enumerate(zip(definitions, starts, strict=True))
        ],
        "filters": [
            (number, field, accepted)
            for number, definition in enumerate(definitions)
            for field, values in definition.filter_conditions.items()
            for accepted in values
        ],
    }


def _split(definitions: Sequence[MetricDefinition]) -> Iterator[Sequence[MetricDefinition]]:
    """Split definitions into parts that one query takes; a part has at least one definition."""
    part: list[MetricDefinition] = []
    size = 0
    for definition in definitions:
        length = len(quote(str(build_metric_parameters("", [definition], 0))))
        if part and size + length > _MAX_TEXT:
            yield part
            part, size = [], 0
        part.append(definition)
        size += length
    if part:
        yield part


def _member_frame(customers: Sequence[str] | Mapping[str, Sequence[str]]) -> pl.DataFrame:
    ids = customers if isinstance(customers, Mapping) else {customer: (customer,) for customer in customers}
    rows = [(customer, member) for customer, members in ids.items() for member in members]
    return pl.DataFrame(rows, schema=CUSTOMERS, orient="row")


def _find_first_id(definition: MetricDefinition, now_ms: int) -> str:
    """Return the smallest id that an event in a metric's window can have."""
    if definition.window_days is None:
        return FIRST_ID
    return make_first_id(now_ms - definition.window_days * DAY_MS)
