"""``/api/v1/customers/{id}/eligibility`` and ``/why-not/{offerId}``."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, get
from litestar.params import FromPath, QueryParameter

from api.auth.principal import Principal, requires
from api.decision_traces.examples import ELIGIBILITY, WHY_NOT
from api.eligibility.schemas import Eligibility, WhyNot
from api.eligibility.service import EligibilityQuery, EligibilityService
from api.http.areas import Injected
from api.http.openapi_responses import answers
from api.http.route_options import READS
from rapport.domain.api_keys import Role

_At = Annotated[
    str | None,
    QueryParameter(
        name="recommendationId",
        description="A past decision: its facts and its catalogue are taken, instead of those of now.",
        max_length=256,
    ),
]


_Channel = Annotated[
    str | None,
    QueryParameter(name="channel", description="As Recommend takes it: a type, an id or a name.", max_length=256),
]
_Placement = Annotated[
    str | None, QueryParameter(name="placement", description="A placement by its id or key.", max_length=256)
]
_Flow = Annotated[
    str | None,
    QueryParameter(
        name="decisionFlowKey",
        description="By default the flow that Recommend would take for the channel and the placement.",
        max_length=256,
    ),
]


class EligibilityController(Controller):
    """Eligibility of offers for a customer, with reasons."""

    path = "/customers/{customer_id:str}"
    tags = ["Deciding"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "traces", READS: True}

    @get("/eligibility", summary="Judge all active offers", responses=answers(200, Eligibility, ELIGIBILITY, 404, 409))
    async def eligibility(
        self,
        request: Request[Principal, Any, Any],
        eligibility: Injected[EligibilityService],
        customer_id: FromPath[str],
        recommendation_id: _At = None,
        channel: _Channel = None,
        placement: _Placement = None,
        decision_flow_key: _Flow = None,
    ) -> Eligibility:
        """Run the flow that Recommend would run, and go on after each rule that removes an offer.

        Every rule and every policy is asked about every active offer; the eligible come first, by priority. A request
        that says attributes can fare otherwise: these are not known here.
        """
        query = EligibilityQuery(
            customer_id=customer_id,
            recommendation_id=recommendation_id,
            channel=channel,
            placement=placement,
            decision_flow_key=decision_flow_key,
        )
        return await eligibility.list_eligibility(request.user.tenant_id, query)

    @get("/why-not/{offer_id:str}", summary="Explain one offer", responses=answers(200, WhyNot, WHY_NOT, 404, 409))
    async def why_not(
        self,
        request: Request[Principal, Any, Any],
        eligibility: Injected[EligibilityService],
        customer_id: FromPath[str],
        offer_id: FromPath[str],
        recommendation_id: _At = None,
        channel: _Channel = None,
        placement: _Placement = None,
        decision_flow_key: _Flow = None,
    ) -> WhyNot:
        """Run the flow as for `eligibility`; rules that it does not ask, or that do not apply, are skipped."""
        query = EligibilityQuery(
            customer_id=customer_id,
            recommendation_id=recommendation_id,
            channel=channel,
            placement=placement,
            decision_flow_key=decision_flow_key,
        )
        return await eligibility.explain_offer(request.user.tenant_id, query, offer_id)
