"""``/api/v1/simulate``: dry runs."""

from __future__ import annotations

from typing import Any, Final

from litestar import Controller, Request, post
from litestar.params import RequestBody

from api.auth.principal import Principal, requires
from api.http.areas import Injected
from api.http.bodies import JsonBody
from api.http.openapi_responses import answers
from api.simulate.service import DryRun, SampleRun, SimulateBody, SimulateService
from rapport.domain.api_keys import Role

_EXAMPLE: Final = {
    "id": "0199a1b2-c3d4-7f1e-8d3c-4b000000002a",
    "status": "completed",
    "sampleSize": 100,
    "reachableCustomers": 83,
    "offersDelivered": 210,
    "averageScore": 0.61,
    "topOffers": [{"offerId": "off_abc123", "count": 71, "firstCount": 44}],
    "removed": {"daily-cap": 39},
    "emptyReasons": {"contact_policy": 17},
    "totalMs": 412.0,
}


class SimulateController(Controller):
    """Decisions without effects."""

    path = "/simulate"
    tags = ["Deciding"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "recommend"}

    @post(
        dto=JsonBody[SimulateBody],
        return_dto=None,
        status_code=200,
        summary="Try a decision",
        responses=answers(200, SampleRun, _EXAMPLE, 400, 404, 413, 415, otherwise=DryRun),
    )
    async def simulate(
        self,
        request: Request[Principal, Any, Any],
        simulations: Injected[SimulateService],
        data: RequestBody[SimulateBody],
    ) -> DryRun | SampleRun:
        """Try a decision. With `customerId` the answer is that of Recommend, with `offers` and `traceSummary` too.

        Without one the decision is tried for `customerIds`, or for a sample of the customers, and added up. Nothing is
        written, reserved or counted. `draft: true` runs a flow's draft before it is published.
        """
        return await simulations.simulate(request.user.tenant_id, data)
