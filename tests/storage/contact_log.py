"""A history of contacts with the summaries that count a part of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Final

import polars as pl

from pipeline.fold import STATE_SCHEMA
from rapport.domain.decisions.windows import Window, WindowKind, WindowUnit, WindowZone
from rapport.domain.outcomes import DEFAULT_OUTCOME_TYPES
from rapport.domain.periods import to_local_date
from rapport.domain.summaries import Contact, fold
from rapport.storage.stream import MILLIS, write_summaries

if TYPE_CHECKING:
    from rapport.storage.client import Store

NOW: Final = 1_772_000_000_123  # 2026-02-25 06:13:20 UTC
HOUR_MS: Final = 3_600_000
ZONES: Final = {"acme": "America/New_York", "kiwi": "Pacific/Auckland"}
TYPES: Final = {one.key: one for one in DEFAULT_OUTCOME_TYPES}
WINDOWS: Final = frozenset(
    Window(kind, unit, zone, count)
    for kind, unit, zone, count in [
        (WindowKind.CALENDAR, WindowUnit.HOUR, WindowZone.TENANT, 1),
        (WindowKind.CALENDAR, WindowUnit.DAY, WindowZone.TENANT, 1),
        (WindowKind.CALENDAR, WindowUnit.WEEK, WindowZone.TENANT, 1),
        (WindowKind.CALENDAR, WindowUnit.MONTH, WindowZone.TENANT, 1),
        (WindowKind.CALENDAR, WindowUnit.DAY, WindowZone.CUSTOMER, 1),
        (WindowKind.CALENDAR, WindowUnit.MONTH, WindowZone.CUSTOMER, 1),
        (WindowKind.ROLLING, WindowUnit.HOUR, WindowZone.TENANT, 36),
        (WindowKind.ROLLING, WindowUnit.DAY, WindowZone.TENANT, 7),
        (WindowKind.CALENDAR, WindowUnit.ALL, WindowZone.TENANT, 1),
    ]
)


@dataclass(frozen=True)
class EventCase:
    """One event, with properties that contacts do not have."""

    contact: Contact
    received_at_ms: int
    recommendation_id: str = ""
    rank: int = 0


@dataclass
class Log:
    """Events of the history, of which the summaries count the first ones of each source."""

    store: Store
    events: list[EventCase] = field(default_factory=list)

    def add(
        self,
        outcome: str = "impression",
        at_ms: int = NOW - HOUR_MS,
        *,
        received_at_ms: int | None = None,
        source: str = "s/0",
        **fields: str,
    ) -> None:
        recommendation_id, rank = fields.pop("recommendation", ""), int(fields.pop("rank", "0"))
        tenant_id = fields.get("tenant_id", "acme")
        known = TYPES[outcome]
        contact = Contact(
            source=source,
            offset=sum(1 for one in self.events if one.contact.source == source),
            item=0,
            occurred_at_ms=at_ms,
            local_day=to_local_date(at_ms, ZONES[tenant_id]),
            outcome=outcome,
            classification=known.classification,
            category=known.category,
            is_conversion=known.is_conversion,
            direction="outbound",
            **{
                "tenant_id": "acme",
                "customer_id": "ann",
                "offer_id": "",
                "creative_id": "",
                "channel_id": "",
                **fields,
            },
        )
        received_at_ms = at_ms if received_at_ms is None else received_at_ms
        self.events.append(EventCase(contact, received_at_ms, recommendation_id, rank))

    def write(self, *, applied: float = 1.0) -> list[Contact]:
        """Write the whole history, and the summaries of its first part.

        Returns:
            The counted events, with the times at which they count.
        """
        rows = [
            {
                **{name: value for name, value in asdict(one.contact).items() if name not in ("local_day", "block")},
                "id": f"{one.contact.occurred_at_ms:012x}{number:026x}",
                "recommendation_id": one.recommendation_id,
                "rank": one.rank,
                "received_at_ms": one.received_at_ms,
            }
            for number, one in enumerate(self.events)
        ]
        moment, received = pl.col("occurred_at_ms").cast(MILLIS), pl.col("received_at_ms").cast(MILLIS)
        frame = pl.DataFrame(rows, schema_overrides={"rank": pl.UInt16}).drop("conversion_value")
        frame = frame.with_columns(occurred_at=moment, received_at=received, local_date=moment.dt.date())
        self.store.insert("interaction_log", frame.drop("occurred_at_ms", "received_at_ms"))
        applied_events = [one for one in self.events if one.contact.offset < applied * len(self.events) / 2]
        folded = fold({}, [one.contact for one in applied_events])
        summaries = [asdict(key) | asdict(value) for key, value in folded.items()]
        write_summaries(self.store, pl.DataFrame(summaries, schema=STATE_SCHEMA))
        return [
            replace(one.contact, occurred_at_ms=min(one.contact.occurred_at_ms, one.received_at_ms))
            for one in applied_events
            if one.contact.category.value != "recommendation"
        ]
