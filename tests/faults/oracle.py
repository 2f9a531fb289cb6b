"""Oracle: the expected tables, computed from the input in plain Python without any code of the product."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

IMPRESSIONS = {"impression", "not_presented", "expired"}
POSITIVE = {"click", "accept", "convert", "conversion", "requested_info", "share", "save"}
NEGATIVE = {"dismiss", "not_interested", "opt_out", "unsubscribe", "complaint"}
NEUTRAL = {"deferred", "defer"}
CONVERSIONS = {"convert", "conversion"}
Key = tuple[str, ...]


@dataclass
class Row:
    """One summary row."""

    impressions: int = 0
    positive: int = 0
    negative: int = 0
    neutral: int = 0
    converts: int = 0
    total_value: Decimal = Decimal(0)
    last: tuple[int, int] = (-1, -1)
    last_outcome: str = ""
    last_direction: str = ""

    def values(self) -> tuple[Any, ...]:
        """The row as the tables show it."""
        return (
            self.impressions,
            self.positive,
            self.negative,
            self.neutral,
            self.converts,
            self.total_value,
            self.last[0],
            self.last_outcome,
            self.last_direction,
        )


@dataclass
class Oracle:
    """Counter of events one by one; a repeated idempotency key counts once.

    Events with equal times within one customer, offer, creative and channel must be added in the order of their log.
    """

    rows: dict[Key, Row] = field(default_factory=lambda: defaultdict(Row))
    history: set[tuple[str, str, str]] = field(default_factory=set)

    def add(self, event: dict[str, Any]) -> None:
        """Count one event as a producer sends it."""
        identity = (event["tenantId"], event["customerId"], event["idempotencyKey"])
        if identity in self.history:
            return
        self.history.add(identity)
        outcome = event["outcome"]
        if outcome == "recommendation":
            return
        moment = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
        year, week, _ = moment.isocalendar()
        for period in (
            ("daily", moment.strftime("%Y-%m-%d")),
            ("weekly", f"{year}-W{week:02d}"),
            ("monthly", moment.strftime("%Y-%m")),
            ("alltime", "alltime"),
        ):
            subject = (event.get("offerId") or "", event.get("creativeId") or "", event.get("channelId") or "")
            row = self.rows[event["tenantId"], event["customerId"], *period, *subject]
            row.impressions += outcome in IMPRESSIONS
            row.positive += outcome in POSITIVE
            row.negative += outcome in NEGATIVE
            row.neutral += outcome in NEUTRAL
            row.converts += outcome in CONVERSIONS
            value = Decimal(str(event.get("conversionValue") or 0))
            if outcome in POSITIVE or value < 0:
                row.total_value += value
            position = (event["timestamp"], len(self.history))
            if position > row.last:
                row.last = position
                row.last_outcome = outcome
                row.last_direction = "outbound" if outcome in IMPRESSIONS else "inbound"

    def table(self) -> dict[Key, tuple[Any, ...]]:
        """Return every summary row, by (tenant, customer, period type, period key, offer, creative, channel)."""
        return {key: row.values() for key, row in self.rows.items()}
