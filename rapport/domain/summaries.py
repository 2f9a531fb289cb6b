"""Windowed summaries, folded one event at a time: the reference that the batch fold and SQL are tested against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from rapport.domain.customers.customer import CustomerRef
from rapport.domain.outcomes import Classification, OutcomeCategory
from rapport.domain.periods import PeriodType, make_period_key

VALUE_SCALE: Final = Decimal("0.000001")
"""Sums of ``conversionValue`` are exact to six decimals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Accepted interaction with its outcome type resolved; the input of the fold.

    Attributes:
        source: Its log (cluster, topic and partition).
        block: The block of that log that its message is in (:mod:`rapport.domain.blocks`).
        offset: Offset of its message in that log; ``item`` is its index in an array message.
        local_day: Calendar day in the tenant's time zone.
        conversion_value: Counted where the outcome is positive, and wherever it takes value back.
    """

    tenant_id: str
    customer_id: str
    offer_id: str
    creative_id: str
    channel_id: str
    source: str
    offset: int
    item: int
    occurred_at_ms: int
    local_day: date
    outcome: str
    classification: Classification
    category: OutcomeCategory
    is_conversion: bool
    direction: str
    conversion_value: Decimal = Decimal(0)
    block: int = 1


@dataclass(frozen=True, slots=True, order=True)
class SummaryKey:
    """Key of a summary row. An empty id means that the interaction named none."""

    tenant_id: str
    customer_id: str
    period_type: str
    period_key: str
    offer_id: str
    creative_id: str
    channel_id: str
    source: str
    block: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Counts of one summary row, and the last offset that it counts."""

    applied_offset: int
    impressions: int = 0
    positive: int = 0
    negative: int = 0
    neutral: int = 0
    converts: int = 0
    total_value: Decimal = Decimal(0)
    last_contact_at_ms: int = -1
    last_outcome: str = ""
    last_direction: str = ""


def list_keys(contact: Contact) -> list[SummaryKey]:
    """List the four rows, one per period type, that a contact counts in."""
    return [
        SummaryKey(
            contact.tenant_id,
            contact.customer_id,
            period_type.value,
            make_period_key(period_type, contact.local_day),
            contact.offer_id,
            contact.creative_id,
            contact.channel_id,
            contact.source,
            contact.block,
        )
        for period_type in PeriodType
    ]


def add_contact(summary: Summary, contact: Contact) -> Summary:
    """Count one contact in one row. The later event by time is the last contact; between equals, the higher offset."""
    is_response = contact.category is OutcomeCategory.RESPONSE
    is_last = contact.occurred_at_ms >= summary.last_contact_at_ms
    is_positive = contact.classification is Classification.POSITIVE
    is_refund = contact.conversion_value < 0
    return replace(
        summary,
        applied_offset=contact.offset,
        impressions=summary.impressions + (contact.category is OutcomeCategory.IMPRESSION),
        positive=summary.positive + (is_response and is_positive),
        negative=summary.negative + (is_response and contact.classification is Classification.NEGATIVE),
        neutral=summary.neutral + (is_response and contact.classification is Classification.NEUTRAL),
        converts=summary.converts + contact.is_conversion,
        total_value=summary.total_value + (contact.conversion_value if is_positive or is_refund else 0),
        last_contact_at_ms=contact.occurred_at_ms if is_last else summary.last_contact_at_ms,
        last_outcome=contact.outcome if is_last else summary.last_outcome,
        last_direction=contact.direction if is_last else summary.last_direction,
    )


def fold(state: Mapping[SummaryKey, Summary], contacts: Iterable[Contact]) -> dict[SummaryKey, Summary]:
    """Fold contacts, in the order of their logs, into their summary rows.

    Recommendations are no contacts and are skipped.

    Args:
        state: The rows that count all contacts before these.
        contacts: The contacts.

    Returns:
        The changed rows only.
    """
    changed: dict[SummaryKey, Summary] = {}
    for contact in contacts:
        if contact.category is OutcomeCategory.RECOMMENDATION:
            continue
        for key in list_keys(contact):
            current = changed.get(key) or state.get(key) or Summary(applied_offset=contact.offset)
            changed[key] = add_contact(current, contact)
    return changed


class StoredSummary(NamedTuple):
    """Stored summary row of one block of one source: key, version and counts. A tuple, because there are many."""

    tenant_id: str
    customer_id: str
    period_type: str
    period_key: str
    offer_id: str
    creative_id: str
    channel_id: str
    source: str
    block: int
    applied_offset: int
    stored_at_ms: int
    impressions: int
    positive: int
    negative: int
    neutral: int
    converts: int
    total_value: Decimal
    last_contact_ms: int
    last_outcome: str
    last_direction: str

    @property
    def customer(self) -> CustomerRef:
        """Tenant id and customer id."""
        return self[:2]

    @property
    def subject(self) -> tuple[str, ...]:
        """The key without the block: what the rows of all blocks are added up by."""
        return self[:8]

    @property
    def counts(self) -> tuple[int, int, int, int, int, Decimal]:
        """Impressions, positive, negative, neutral, converts and total value."""
        return self[11:17]


def add_blocks_up(rows: Sequence[StoredSummary]) -> tuple[object, ...] | None:
    """Add up the rows of one subject's blocks: counts, and time, outcome and direction of the last contact.

    Returns:
        None if nothing is counted.
    """
    counted = [row for row in rows if any(row.counts)]
    if not counted:
        return None
    last = max(counted, key=lambda row: (row.last_contact_ms, row.block))
    return *map(sum, zip(*(row.counts for row in counted), strict=True)), *last[17:]
