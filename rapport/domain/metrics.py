"""Behavioral metrics of one customer, computed from events; the view ``metric_amounts`` measures the history in SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from rapport.domain.customers.customer import CustomerRef
from rapport.domain.outcomes import OutcomeCategory
from rapport.domain.periods import DAY_MS

if TYPE_CHECKING:
    from rapport.domain.catalogue.strategy import MetricDefinition

ONE: Final = Decimal(1)
ZERO: Final = Decimal(0)


class Amounts(NamedTuple):
    """Amounts of the events that a metric counts: their number and totals.

    Attributes:
        least: Smallest amount, if there are any; ``most`` is the largest.
    """

    number: int
    total: Decimal
    least: Decimal
    most: Decimal


class MetricEvent(NamedTuple):
    """Fields of an event that metrics read; empty where the event names none.

    Attributes:
        occurred_ms: Epoch milliseconds; the time of receipt, if the event is dated later.
    """

    occurred_ms: int
    outcome: str
    classification: str
    category: str
    direction: str
    offer_id: str
    creative_id: str
    channel_id: str
    conversion_value: Decimal | None


def measure(definition: MetricDefinition, events: Iterable[MetricEvent], now_ms: int) -> float | None:
    """Compute a metric from events, as :func:`rapport.storage.metrics.read_metrics` does in SQL.

    Returns:
        None if nothing matches and the metric is neither a count nor a sum.
    """
    amounts = [
        amount
        for event in events
        if _matches(definition, event, now_ms)
        and (amount := ONE if definition.source_field == "*" else event.conversion_value) is not None
    ]
    return compute_value(
        definition, Amounts(len(amounts), sum(amounts, ZERO), min(amounts, default=ZERO), max(amounts, default=ZERO))
    )


def compute_value(definition: MetricDefinition, amounts: Amounts) -> float | None:
    """Return a metric's value; None if nothing matches and the metric is neither a count nor a sum."""
    match definition.aggregate_function:
        case "count":
            return float(amounts.number)
        case "sum":
            return float(amounts.total)
        case "avg":
            return float(amounts.total) / amounts.number if amounts.number else None
        case "min":
            return float(amounts.least) if amounts.number else None
        case "max":
            return float(amounts.most) if amounts.number else None


class MetricGroup(NamedTuple):
    """Events that agree in all fields that metrics filter by: their number and the totals of their values.

    Attributes:
        event: The fields they share; its time and its value do not matter.
        events: Number of events.
        values: Number of events with a value.
        total: Sum of the values.
        least: Smallest value, if there are any; ``most`` is the largest.
    """

    event: MetricEvent
    events: int
    values: int
    total: Decimal
    least: Decimal
    most: Decimal


def measure_groups(definition: MetricDefinition, groups: Iterable[MetricGroup]) -> float | None:
    """Compute a metric from groups of events inside its window; equals :func:`measure` of the events."""
    matching = [group for group in groups if _passes_filters(definition, group.event)]
    if definition.source_field == "*":
        count = sum(group.events for group in matching)
        return compute_value(definition, Amounts(count, Decimal(count), ONE, ONE))
    valued = [group for group in matching if group.values]
    return compute_value(
        definition,
        Amounts(
            sum(group.values for group in valued),
            sum((group.total for group in valued), ZERO),
            min((group.least for group in valued), default=ZERO),
            max((group.most for group in valued), default=ZERO),
        ),
    )


def compute_window_start_ms(definition: MetricDefinition, now_ms: int) -> int:
    """Return when the metric's window begins, inclusive, epoch milliseconds."""
    return 0 if definition.window_days is None else now_ms - definition.window_days * DAY_MS


def _has_contacts_only(definition: MetricDefinition) -> bool:
    """Say whether recommendations, which are no contacts, are left out: only an explicit filter includes them."""
    return definition.filter_conditions.keys().isdisjoint(("outcome", "category"))


def _matches(definition: MetricDefinition, event: MetricEvent, now_ms: int) -> bool:
    return compute_window_start_ms(definition, now_ms) <= event.occurred_ms <= now_ms and _passes_filters(
        definition, event
    )


def _passes_filters(definition: MetricDefinition, event: MetricEvent) -> bool:
    """Say whether an event passes the metric's filters, whenever it happened."""
    if event.category == OutcomeCategory.RECOMMENDATION and _has_contacts_only(definition):
        return False
    return all(
        name in _FIELDS and _FIELDS[name](event) in accepted for name, accepted in definition.filter_conditions.items()
    )


_FIELDS: Final[Mapping[str, Callable[[MetricEvent], str]]] = {
    "outcome": lambda event: event.outcome,
    "classification": lambda event: event.classification,
    "category": lambda event: event.category,
    "direction": lambda event: event.direction,
    "offerId": lambda event: event.offer_id,
    "creativeId": lambda event: event.creative_id,
    "channelId": lambda event: event.channel_id,
}


class StoredEvent(NamedTuple):
    """Stored event; fields that it does not name are empty."""

    tenant_id: str
    customer_id: str
    id: str
    received_ms: int
    category: str
    occurred_ms: int
    outcome: str
    classification: str
    is_conversion: bool
    direction: str
    offer_id: str
    creative_id: str
    channel_id: str
    conversion_value: Decimal | None
    recommendation_id: str
    rank: int
    source: str
    offset: int

    @property
    def customer(self) -> CustomerRef:
        """Tenant id and customer id."""
        return self[:2]

    @property
    def counted_ms(self) -> int:
        """Time for caps, metrics and everything that follows from contacts: at the latest the time of receipt.

        Events may be dated up to a day ahead, by a clock that is wrong; what is dated into tomorrow has happened today.
        """
        return min(self.occurred_ms, self.received_ms)

    @property
    def measured(self) -> MetricEvent:
        """Fields that metrics read."""
        return MetricEvent(
            occurred_ms=self.counted_ms,
            outcome=self.outcome,
            classification=self.classification,
            category=self.category,
            direction=self.direction,
            offer_id=self.offer_id,
            creative_id=self.creative_id,
            channel_id=self.channel_id,
            conversion_value=self.conversion_value,
        )
