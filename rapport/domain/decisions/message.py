"""Kafka message of a decision: the decision record, its recommendation events, and implicit impressions.

It is one message with one key, so that the log contains all of it or nothing, in the customer's order. Its size stays
below the default limit of a Kafka topic: the trace, and finally the facts, are trimmed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from rapport.domain.decisions.record import encode_record
from rapport.domain.events import DecisionMade, InteractionRecorded, encode_event
from rapport.domain.outcomes import RECOMMENDATION

if TYPE_CHECKING:
    from rapport.domain.decisions.decision import DecisionItem
    from rapport.domain.decisions.record import DecisionRecord

MAX_BYTES: Final = 1_000_000
"""Maximum size of the message; Kafka's default limit is 1,048,588 bytes."""
IMPRESSION: Final = "impression"
FIRST_ITEM: Final = 1
"""Index of the first recommendation event in the message's array; the decision record comes before."""


class DecisionMessage(NamedTuple):
    """Message of a decision.

    Attributes:
        value: The message's value.
        record: The part of it that is the decision record.
    """

    value: bytes
    record: bytes


def encode_decision(
    tenant_id: str, record: DecisionRecord, context: msgspec.Raw, implicit: frozenset[str]
) -> DecisionMessage:
    """Encode the message of a decision.

    Args:
        tenant_id: Id of the tenant.
        record: Record of the decision.
        context: Context of the request, JSON; stored with each event.
        implicit: Ids of channels with implicit tracking: a recommendation counts as an impression.
    """
    items = record.decision.items
    rows = [_make_row(tenant_id, record, item, RECOMMENDATION, context) for item in items]
    rows += [_make_row(tenant_id, record, item, IMPRESSION, context) for item in items if item.channel_id in implicit]
    texts = [encode_event(row) for row in rows]
    room = MAX_BYTES - sum(len(text) + 1 for text in texts) - 2_048
    decision = encode_record(record, room)
    made = DecisionMade(
        tenant_id=tenant_id,
        customer_id=record.customer_id,
        recommendation_id=record.recommendation_id,
        timestamp=record.decided_at_ms,
        decision=msgspec.Raw(decision),
    )
    return DecisionMessage(b"[" + b",".join([encode_event(made), *texts]) + b"]", decision)


def make_idempotency_key(recommendation_id: str, rank: int, outcome: str) -> str:
    """Return the idempotency key of an event that is written together with its decision."""
    return f"{recommendation_id}:{rank}:{outcome}"


def find_implicit_channels(items: Sequence[DecisionItem], tracking: Mapping[str, str]) -> frozenset[str]:
    """Return the channels of the items on which a recommendation counts as an impression."""
    return frozenset(
        item.channel_id for item in items if item.channel_id and tracking.get(item.channel_id) == "implicit"
    )


def _make_row(
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
