"""Deduplication: the winner of a claim among several events with one idempotency key.

Every event first *claims* its key in the store; only then does its worker read the other claims. Within one source
the log decides: the lowest offset wins. Between sources no order exists, so of two that may have claimed at the same
time the one with the *higher* source name loses; the lower waits until the higher one has decided. Whoever reads after
the other wrote sees it, so never do both count, and never neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class ClaimDecision(StrEnum):
    """Decision on an event whose key is claimed."""

    ACCEPT = "accept"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Claim:
    """Claim of an idempotency key by one event.

    Attributes:
        source: Log of the event; ``offset`` and ``item`` are its position there.
        payload_hash: Tells a repetition from another event that reuses the key.
        text_hash: Hash of the event's text, which claims from before the comparison of values hold; set on the event
            to be decided on.
        is_accepted: Its interaction has been written: it counts, for ever.
        is_settled: The recorded progress of its source has passed it.
        has_yielded: It lost to another source's claim.
        is_abandoned: Undecided for so long that its worker must be gone.
    """

    source: str
    offset: int
    item: int
    payload_hash: int
    text_hash: int | None = None
    is_accepted: bool = False
    is_settled: bool = False
    has_yielded: bool = False
    is_abandoned: bool = False


def decide(own: Claim, others: Sequence[Claim]) -> ClaimDecision:
    """Decide on one event, given the other claims of its key within the horizon.

    Args:
        own: The event's claim. If it was accepted or had lost before a crash, that stays so.
        others: Claims of the same tenant, customer and idempotency key; higher offsets of the same source are ignored.
    """
    if own.is_accepted:
        return ClaimDecision.ACCEPT
    if own.has_yielded:
        return ClaimDecision.DUPLICATE  # others count on it
    earlier = [c for c in others if c.source == own.source and (c.offset, c.item) < (own.offset, own.item)]
    if earlier:
        return _compare_payloads(own, min(earlier, key=_get_position))
    decision = ClaimDecision.ACCEPT
    for other in others:
        if other.source == own.source or other.has_yielded:
            continue
        if other.is_accepted or other.is_settled or other.source < own.source:
            return _compare_payloads(own, other)
        if not other.is_abandoned:
            decision = ClaimDecision.WAIT
    return decision


def _compare_payloads(own: Claim, other: Claim) -> ClaimDecision:
    is_same = other.payload_hash in (own.payload_hash, own.text_hash)
    return ClaimDecision.DUPLICATE if is_same else ClaimDecision.CONFLICT


def _get_position(claim: Claim) -> tuple[int, int]:
    return claim.offset, claim.item
