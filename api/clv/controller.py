"""``/api/v1/customers/{id}/clv`` and ``/api/v1/clv/compute``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from litestar import Controller, Request, get, post
from litestar.params import FromPath

from api.auth.principal import Principal, requires
from api.clv.schemas import ClvRun, ClvView, SegmentSizes
from api.clv.service import ClvService
from api.http.areas import Injected
from api.http.openapi_responses import answers
from api.http.route_options import READS
from api.http.times import iso
from rapport.domain.api_keys import Role

EXAMPLE: Final[Mapping[str, object]] = {
    "customerId": "CUST001",
    "clvScore": 72,
    "predictedRevenue": 1440.0,
    "churnProbability": 0.119,
    "rfmRecency": 5,
    "rfmFrequency": 24,
    "rfmMonetary": 360.0,
    "segment": "high",
    "computedAt": "2026-03-15T14:30:00.000Z",
    "source": "cached",
}
_RUN: Final[Mapping[str, object]] = {
    "customersProcessed": 23570,
    "segments": {"high": 5893, "medium": 9870, "low": 5102, "at_risk": 2705},
    "computedAt": "2026-03-15T14:30:00.000Z",
    "durationMs": 320,
}


class ClvController(Controller):
    """Lifetime values of customers, compared with all customers of the tenant."""

    tags = ["Customers"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "customers", READS: True}

    @get(
        "/customers/{customer_id:str}/clv",
        summary="Read a customer's value",
        responses=answers(200, ClvView, EXAMPLE, 409),
    )
    async def read(
        self,
        request: Request[Principal, Any, Any],
        customer_values: Injected[ClvService],
        customer_id: FromPath[str],
    ) -> ClvView:
        """Read the stored value; where there is none or it is too old, it is computed. `computedAt` says when."""
        return await customer_values.of(request.user.tenant_id, customer_id)

    @post(
        "/customers/{customer_id:str}/clv",
        guards=[requires(Role.EDITOR)],
        status_code=200,
        summary="Work a customer's value out anew",
        responses=answers(200, ClvView, {**EXAMPLE, "source": "computed"}, 409),
    )
    async def renew(
        self,
        request: Request[Principal, Any, Any],
        customer_values: Injected[ClvService],
        customer_id: FromPath[str],
    ) -> ClvView:
        """Compute the value anew, with the values of all others, on which it depends."""
        return await customer_values.renew(request.user.tenant_id, customer_id)

    @post(
        "/clv/compute",
        guards=[requires(Role.EDITOR)],
        status_code=200,
        summary="Work the values of all customers out",
        responses=answers(200, ClvRun, _RUN, 409),
    )
    async def compute(self, request: Request[Principal, Any, Any], customer_values: Injected[ClvService]) -> ClvRun:
        """Compute the values of all customers who were ever contacted."""
        started = time.perf_counter()
        computed = await customer_values.compute(request.user.tenant_id)
        return ClvRun(
            customers_processed=sum(computed.segments.values()),
            segments=SegmentSizes(**computed.segments),
            computed_at=iso(computed.at_ms),
            duration_ms=round((time.perf_counter() - started) * 1000),
        )
