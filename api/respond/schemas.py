"""Responses on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from api.http.bodies import Body
from rapport.domain.events import MAX_CONVERSION_VALUE

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
ALIASES: Final[Mapping[str, str]] = {
    "treatmentId": "creativeId",
    "actionId": "offerId",
    "interactionType": "outcome",
    "outcomeType": "outcome",
}


class ResponseBody(Body, frozen=True, kw_only=True):
    """Response of a customer.

    Say what it is about by ``recommendationId`` and ``rank``, by ``creativeId`` and ``channelId``, or by
    ``interactionId``.

    Attributes:
        outcome: Key of one of the tenant's outcome types.
        idempotency_key: Identifies the interaction: sent again it counts once. May be sent as the header
            ``Idempotency-Key`` instead.
        offer_id: By default the offer of the creative.
        channel_id: A creative of the catalogue decides it.
        recommendation_id: From Recommend.
        rank: Which of its decisions, from 1.
        interaction_id: From Recommend too: one of its decisions.
        direction: By default outbound for impressions, inbound for responses.
        timestamp: ISO 8601; by default now.
        conversion_value: In the tenant's currency, exact to six decimals; negative for outcome types that allow it.
        metadata: Free-form; unknown fields go here.
    """

    ALIASES: ClassVar[Mapping[str, str]] = ALIASES
    UNKNOWN_FIELDS_GO_TO: ClassVar[str] = "metadata"
    EXAMPLE: ClassVar[Mapping[str, Any]] = {
        "customerId": "CUST001",
        "creativeId": "cr_001",
        "channelId": "ch_email",
        "outcome": "click",
        "idempotencyKey": "mail-42-click",
    }

    customer_id: Text
    outcome: Text
    idempotency_key: Text | None = None
    creative_id: Text | None = None
    channel_id: Text | None = None
    offer_id: Text | None = None
    placement_id: Text | None = None
    recommendation_id: Text | None = None
    rank: Annotated[int, msgspec.Meta(ge=1, le=65_535)] | None = None
    interaction_id: Text | None = None
    direction: Literal["inbound", "outbound"] | None = None
    timestamp: str | None = None
    conversion_value: Annotated[float, msgspec.Meta(ge=-MAX_CONVERSION_VALUE, le=MAX_CONVERSION_VALUE)] | None = None
    context: Mapping[str, Any] | None = None
    outcome_details: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None


class ResponseWarning(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Warning about a response that was recorded."""

    code: str
    message: str


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A response that is recorded.

    Attributes:
        interaction_id: Its id in the history.
        duplicate: Whether the idempotency key had been used for it before; it counts once.
        position: To be sent as ``X-Min-Position`` with a read that must include it.
        timestamp: When it happened.
    """

    interaction_id: str
    duplicate: bool
    position: str
    customer_id: str
    outcome: str
    offer_id: str | None
    creative_id: str | None
    channel_id: str | None
    placement_id: str | None
    recommendation_id: str | None
    rank: int | None
    direction: str
    timestamp: str
    warnings: Sequence[ResponseWarning]
