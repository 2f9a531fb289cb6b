"""Entry of customers into journeys by events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rapport.domain.journeys.definition import HOUR_MS

if TYPE_CHECKING:
    from rapport.domain.journeys.definition import EntryCondition


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryEvent:
    """Accepted event that may start a journey.

    Attributes:
        id: Made of its time and its position in the log; the same however often the log is read.
        occurred_at_ms: Time of the event, epoch milliseconds.
        received_at_ms: Time when the broker received it.
    """

    tenant_id: str
    customer_id: str
    id: str
    occurred_at_ms: int
    received_at_ms: int
    outcome: str
    offer_id: str = ""
    creative_id: str = ""
    channel_id: str = ""
    conversion_value: float | None = None

    @property
    def fields(self) -> Mapping[str, Any]:
        """Fields that formulas read as ``entry.*``."""
        known = {
            "outcome": self.outcome,
            "offerId": self.offer_id,
            "creativeId": self.creative_id,
            "channelId": self.channel_id,
            "value": self.conversion_value,
            "timestamp": _format_instant(self.occurred_at_ms),
        }
        return {name: value for name, value in known.items() if value not in ("", None)}


def matches_condition(condition: EntryCondition, event: EntryEvent) -> bool:
    """Say whether an event fulfils an entry condition, apart from its formula.

    Its age when the broker got it counts, not its age now: so reading it again later decides the same.
    """
    age_ms = event.received_at_ms - event.occurred_at_ms
    return (
        age_ms <= condition.max_event_age_hours * HOUR_MS
        and event.outcome in condition.outcomes
        and (not condition.offer_ids or event.offer_id in condition.offer_ids)
        and (not condition.creative_ids or event.creative_id in condition.creative_ids)
        and (not condition.channel_ids or event.channel_id in condition.channel_ids)
    )


def _format_instant(at_ms: int) -> str:
    """Format an instant in UTC with milliseconds, so that texts sort as times do."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
