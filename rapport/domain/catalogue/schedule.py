"""Schedules of offers, evaluated at a time."""

from __future__ import annotations

from functools import lru_cache

from rapport.domain.catalogue.inventory import Offer
from rapport.domain.times import parse_instant


def explain_off_schedule(offer: Offer, now_ms: int) -> str:
    """Explain why an offer's schedule excludes a time; empty if it does not."""
    start_ms, end_ms = parse_optional_instant(offer.schedule.start_at), parse_optional_instant(offer.schedule.end_at)
    if start_ms is not None and now_ms < start_ms:
        return f"its schedule begins at {offer.schedule.start_at}"
    if end_ms is not None and now_ms >= end_ms:
        return f"its schedule ended at {offer.schedule.end_at}"
    return ""


@lru_cache(maxsize=65_536)
def parse_optional_instant(text: str | None) -> int | None:
    """Parse an instant of an offer as epoch milliseconds; None for none.

    Raises:
        InstantError: It is no instant.
    """
    return parse_instant(text) if text else None


def is_mandatory_now(offer: Offer, now_ms: int) -> bool:
    """Say whether an offer is mandatory at a time: it is mandatory, and that has not expired."""
    expires_ms = parse_optional_instant(offer.mandatory_expires_at)
    return offer.mandatory and (expires_ms is None or now_ms < expires_ms)
