"""``/api/v1/customers/{id}/suppressions``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import Controller, Request, get, post
from litestar.params import FromPath, RequestBody

from api.auth.principal import Principal, requires
from api.http.areas import Injected
from api.http.bodies import JsonBody
from api.http.openapi_responses import answers
from api.http.route_options import READS
from api.suppressions.schemas import LiftBody, Suppressions, SuppressionView
from api.suppressions.service import SuppressionService
from rapport.domain.api_keys import Role

EXAMPLE: Final[Mapping[str, object]] = {
    "id": "sup_4b1f0c6a9d2e7f35",
    "scope": "global",
    "scopeId": "all",
    "offerName": None,
    "policyType": "outcome_based",
    "ruleId": "default-unsubscribe",
    "reason": "Cooldown 2160h after unsubscribe",
    "triggerCount": 1,
    "expiresAt": "2026-06-13T14:30:00.000Z",
    "endedBy": None,
    "createdAt": "2026-03-15T14:30:00.000Z",
    "isActive": True,
}


_LIFTED: Final[Mapping[str, object]] = {
    **EXAMPLE,
    "expiresAt": "2026-03-16T09:00:00.000Z",
    "endedBy": "lifted by an operator",
    "isActive": False,
}


class SuppressionController(Controller):
    """Suppressions of offers by outcomes. Recommend obeys them."""

    tags = ["Customers"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "customers", READS: True}

    @get(
        "/customers/{customer_id:str}/suppressions",
        summary="List a customer's suppressions",
        responses=answers(200, Suppressions, {"data": [EXAMPLE]}, 409),
    )
    async def of_customer(
        self,
        request: Request[Principal, Any, Any],
        suppressions: Injected[SuppressionService],
        customer_id: FromPath[str],
    ) -> Suppressions:
        """List suppressions: those in force first, then those that have ended; the latest first in both.

        They are worked out of the history by the suppression rules, or by the defaults where a tenant has none.
        """
        return Suppressions(data=await suppressions.list_all(request.user.tenant_id, customer_id))

    @post(
        "/customers/{customer_id:str}/suppressions/{suppression_id:str}/lift",
        dto=JsonBody[LiftBody],
        return_dto=None,
        status_code=200,
        guards=[requires(Role.EDITOR)],
        summary="Lift a customer's suppression",
        responses=answers(200, SuppressionView, _LIFTED, 400, 404, 409, 413, 415),
    )
    async def lift(
        self,
        request: Request[Principal, Any, Any],
        suppressions: Injected[SuppressionService],
        customer_id: FromPath[str],
        suppression_id: FromPath[str],
        data: RequestBody[LiftBody],
    ) -> SuppressionView:
        """Lift a suppression now, until an outcome suppresses anew. The audit log says who lifted it, and why."""
        return await suppressions.lift(request.user, customer_id, suppression_id, data.reason)
