"""Interactions on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from api.http.cursors import CursorPagination


class NamedChannel(msgspec.Struct, frozen=True, kw_only=True):
    """A channel of the catalogue."""

    id: str
    name: str


class NamedOffer(msgspec.Struct, frozen=True, kw_only=True):
    """An offer of the catalogue."""

    id: str
    name: str
    status: str


class NamedCreative(msgspec.Struct, frozen=True, kw_only=True):
    """A creative of the catalogue; its channel is null where the catalogue does not know it."""

    id: str
    name: str
    channel: NamedChannel | None


class Interaction(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One interaction.

    Attributes:
        id: Sorts by time; the cursor of the next page.
        interaction_type: As ``outcomeTypeKey``.
        response: Metadata of the event.
        outcome: Member outcomeDetails of the event.
        offer: Null where the catalogue does not know it.
        creative: Null where the catalogue does not know it.
    """

    id: str
    tenant_id: str
    customer_id: str
    offer_id: str | None
    creative_id: str | None
    channel_id: str | None
    placement_id: str | None
    interaction_type: str
    outcome_type_key: str
    direction: str
    timestamp: str
    conversion_value: float | None
    recommendation_id: str | None
    rank: int | None
    idempotency_key: str
    context: Mapping[str, Any]
    response: Mapping[str, Any]
    outcome: Mapping[str, Any]
    offer: NamedOffer | None
    creative: NamedCreative | None


class InteractionPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of interactions, newest first."""

    data: Sequence[Interaction]
    pagination: CursorPagination
