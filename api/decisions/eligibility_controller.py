"""``/api/v1/customers/{id}/eligibility`` and ``/why-not/{offerId}``."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, get
from litestar.params import FromPath, QueryParameter

from api.auth.principal import Principal, requires
from api.decisions.eligibility import explain_offer, list_eligibility
from api.decisions.eligibility_schemas import Eligibility, WhyNot
from api.decisions.examples import ELIGIBILITY, WHY_NOT
from api.describing import answers
from api.reading.freshness import READS
from api.services import FromServices
from rapport.domain.api_keys import Role

_At = Annotated[
    str | None,
    QueryParameter(
        name="recommendationId",
        description="A past decision: its facts and its catalogue are taken, instead of those of now.",
        max_length=256,
    ),
]


class EligibilityController(Controller):
    """What a customer may get, and why."""

    path = "/customers/{customer_id:str}"
    tags = ["Deciding"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "traces", READS: True}

    @get("/eligibility", summary="Judge all active offers", responses=answers(200, Eligibility, ELIGIBILITY, 404, 409))
    async def eligibility(
        self,
        request: Request[Principal, Any, Any],
        services: FromServices,
        customer_id: FromPath[str],
        recommendation_id: _At = None,
    ) -> Eligibility:
        """Every rule and every policy is asked about every active offer; the eligible come first, by priority."""
        return await list_eligibility(services, request.user.tenant_id, customer_id, recommendation_id)

    @get("/why-not/{offer_id:str}", summary="Explain one offer", responses=answers(200, WhyNot, WHY_NOT, 404, 409))
    async def why_not(
        self,
        request: Request[Principal, Any, Any],
        services: FromServices,
        customer_id: FromPath[str],
        offer_id: FromPath[str],
        recommendation_id: _At = None,
    ) -> WhyNot:
        """Every rule and every policy is asked, not only until one objects; what does not apply is skipped."""
        return await explain_offer(services, request.user.tenant_id, customer_id, offer_id, recommendation_id)
