"""A decision as the message that Kafka gets: the decision itself, its items, and the impressions that are certain.

One message with one key, so that all of it or nothing of it is in the log, in the customer's order. Its size is bounded
below what a Kafka topic takes by default: the trace, and at last the facts, give way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from rapport.domain.decisions.record import encode_record
from rapport.domain.events import DecisionMade, InteractionRecorded, encode_event
from rapport.domain.outcomes import RECOMMENDATION

if TYPE_CHECKING:
    from rapport.domain.decisions.decision import DecisionItem
    from rapport.domain.decisions.record import DecisionRecord

MAX_BYTES: Final = 1_000_000
"""Kafka takes 1,048,588 bytes a message by default."""
IMPRESSION: Final = "impression"
FIRST_ITEM: Final = 1
"""Index of the first recommendation row in the message's array; the decision comes before."""


def encode_decision(tenant_id: str, record: DecisionRecord, context: msgspec.Raw, implicit: frozenset[str]) -> bytes:
    """Write the message of a decision.

    Args:
        tenant_id: Whose.
        record: The decision in full.
        context: Of the request; kept with each row.
        implicit: Channels on which recommending is showing.
    """
    items = record.decision.items
    rows = [_row(tenant_id, record, item, RECOMMENDATION, context) for item in items]
    rows += [_row(tenant_id, record, item, IMPRESSION, context) for item in items if item.channel_id in implicit]
    texts = [encode_event(row) for row in rows]
    room = MAX_BYTES - sum(len(text) + 1 for text in texts) - 2_048
    made = DecisionMade(
        tenant_id=tenant_id,
        customer_id=record.customer_id,
        recommendation_id=record.recommendation_id,
        timestamp=record.decided_at_ms,
        decision=msgspec.Raw(encode_record(record, room)),
    )
    return b"[" + b",".join([encode_event(made), *texts]) + b"]"


def make_idempotency_key(recommendation_id: str, rank: int, outcome: str) -> str:
    """The key of one of a recommendation's own rows."""
    return f"{recommendation_id}:{rank}:{outcome}"


def find_implicit_channels(items: Sequence[DecisionItem], tracking: Mapping[str, str]) -> frozenset[str]:
    """Channels of a decision on which recommending is showing."""
    return frozenset(
        item.channel_id for item in items if item.channel_id and tracking.get(item.channel_id) == "implicit"
    )


def _row(
    tenant_id: str, record: DecisionRecord, item: DecisionItem, outcome: str, context: msgspec.Raw
) -> InteractionRecorded:
    return InteractionRecorded(
        tenant_id=tenant_id,
        customer_id=record.customer_id,
        outcome=outcome,
        idempotency_key=make_idempotency_key(record.recommendation_id, item.rank, outcome),
        offer_id=item.offer_id,
        creative_id=item.creative_id,
        channel_id=item.channel_id,
        placement_id=item.placement_id,
        timestamp=record.decided_at_ms,
        recommendation_id=record.recommendation_id,
        rank=item.rank,
        context=context,
    )
