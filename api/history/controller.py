"""``/api/v1/interaction-history``: interactions, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from litestar import Controller, Request, get
from litestar.params import QueryParameter

from api.auth.principal import Principal, requires
from api.history.schemas import InteractionPage
from api.history.service import CURSORS, HistoryService
from api.http.areas import Injected
from api.http.cursors import CursorParameter
from api.http.errors import invalid
from api.http.openapi_responses import answers
from api.http.parameters import check_choice, clamp, read_instant, same, text_parameter
from api.http.route_options import READS
from rapport.domain.api_keys import Role
from rapport.domain.faults import Fault
from rapport.storage.history import HistoryFilter

DEFAULT_LIMIT: Final = 25
MAX_LIMIT: Final = 200
DIRECTIONS: Final = ("inbound", "outbound")
_EXAMPLE: Final[Mapping[str, object]] = {
    "data": [
        {
            "id": "0199a1b2c3d40f1e2d3c4b000000002a00000",
            "tenantId": "t_001",
            "customerId": "CUST001",
            "offerId": "off_abc123",
            "creativeId": "cr_001",
            "channelId": "ch_email",
            "placementId": None,
            "interactionType": "click",
            "outcomeTypeKey": "click",
            "direction": "outbound",
            "timestamp": "2026-03-15T14:30:00.000Z",
            "conversionValue": None,
            "recommendationId": None,
            "rank": None,
            "idempotencyKey": "mail-42-click",
            "context": {},
            "response": {},
            "outcome": {},
            "offer": {"id": "off_abc123", "name": "Platinum Card Upgrade", "status": "active"},
            "creative": {
                "id": "cr_001",
                "name": "Email Hero Variant A",
                "channel": {"id": "ch_email", "name": "Email"},
            },
        }
    ],
    "pagination": {"total": 1500, "limit": 25, "hasMore": True, "nextCursor": "0199a1b2c3d40f1e2d3c4b000000002a00000"},
}


class HistoryController(Controller):
    """Every interaction, as it was accepted."""

    path = "/interaction-history"
    tags = ["Reading"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "history", READS: True}

    @get(summary="Query interactions, newest first", responses=answers(200, InteractionPage, _EXAMPLE, 400, 409))
    async def query(
        self,
        request: Request[Principal, Any, Any],
        history: Injected[HistoryService],
        customer_id: Annotated[str | None, text_parameter("customerId", "Of this customer.")] = None,
        offer_id: Annotated[str | None, text_parameter("offerId", "About this offer.")] = None,
        action_id: Annotated[str | None, text_parameter("actionId", "Older name of offerId.")] = None,
        creative_id: Annotated[str | None, text_parameter("creativeId", "With this creative.")] = None,
        treatment_id: Annotated[str | None, text_parameter("treatmentId", "Older name of creativeId.")] = None,
        channel_id: Annotated[str | None, text_parameter("channelId", "On this channel.")] = None,
        kind: Annotated[str | None, text_parameter("type", "With this outcome, such as click.")] = None,
        direction: Annotated[
            str | None, QueryParameter(description="Which way it went.", schema_extra={"enum": list(DIRECTIONS)})
        ] = None,
        from_: Annotated[
            str | None, text_parameter("from", "At or after this time; ISO 8601 or epoch milliseconds.")
        ] = None,
        to: Annotated[str | None, text_parameter("to", "Before this time, likewise.")] = None,
        limit: Annotated[
            int, QueryParameter(description=f"Rows of a page; brought into 1 to {MAX_LIMIT}.")
        ] = DEFAULT_LIMIT,
        cursor: CursorParameter = None,
    ) -> InteractionPage:
        """Query a page. Pages are stable while events arrive: page after page returns every row once.

        Of merged customers all interactions are there, each under the id that it happened to.
        """
        faults: list[Fault] = []
        wanted = HistoryFilter(
            tenant_id=request.user.tenant_id,
            customer_id=customer_id or "",
            members=await history.find_members(request.user.tenant_id, customer_id),
            offer_id=same("offerId", offer_id, "actionId", action_id, faults),
            creative_id=same("creativeId", creative_id, "treatmentId", treatment_id, faults),
            channel_id=channel_id or "",
            outcome=kind or "",
            direction=check_choice("direction", direction, DIRECTIONS, faults),
            from_ms=read_instant("from", from_, faults),
            to_ms=read_instant("to", to, faults),
        )
        before_id = CURSORS.read(cursor, faults)
        if faults:
            raise invalid(*faults)
        return await history.load_page(wanted, before_id or "", clamp(limit, 1, MAX_LIMIT))
