"""``/api/v1/decision-traces`` and ``/api/v1/decisions``: past decisions, their reasons, and replays of them."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Controller, Request, get, post
from litestar.params import FromPath, QueryParameter

from api.auth.principal import Principal, requires
from api.decision_traces.examples import FULL_TRACE, SHORT_TRACE
from api.decision_traces.schemas import FullTrace, Replay, TracePage
from api.decision_traces.service import TraceService, shorten, show
from api.http.areas import Injected
from api.http.errors import invalid
from api.http.openapi_responses import answers
from api.http.parameters import clamp, read_instant, text_parameter
from api.http.route_options import READS
from rapport.domain.api_keys import Role
from rapport.domain.faults import Fault
from rapport.domain.times import LATEST_MS
from rapport.storage.decisions import DecisionFilter

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
_PAGE: Final = {"traces": [SHORT_TRACE], "total": 1, "limit": 50, "offset": 0}
_REPLAY: Final = {
    "recommendationId": "0199a1b2-c3d4-7f1e-8d3c-4b000000002a",
    "customerId": "CUST001",
    "decidedAt": "2026-03-15T14:30:00.000Z",
    "catalogue": "42",
    "identical": True,
    "differences": [],
    "softwareDifferences": [],
    "decisions": [],
}


class TraceController(Controller):
    """Every decision with its reasons."""

    path = "/decision-traces"
    tags = ["Deciding"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "traces", READS: True}

    @get(summary="List decisions, newest first", responses=answers(200, TracePage, _PAGE, 400, 409))
    async def of_tenant(
        self,
        request: Request[Principal, Any, Any],
        traces: Injected[TraceService],
        customer_id: Annotated[str | None, text_parameter("customerId", "Of this customer.")] = None,
        request_id: Annotated[str | None, text_parameter("requestId", "With this id: a recommendationId.")] = None,
        from_: Annotated[
            str | None, text_parameter("from", "At or after this time; ISO 8601 or epoch milliseconds.")
        ] = None,
        to: Annotated[str | None, text_parameter("to", "Before this time, likewise.")] = None,
        limit: Annotated[
            int, QueryParameter(description=f"Traces of a page; brought into 1 to {MAX_LIMIT}.")
        ] = DEFAULT_LIMIT,
        offset: Annotated[int, QueryParameter(description="How many are left out before.", ge=0, le=1_000_000)] = 0,
    ) -> TracePage:
        """List decisions that the stream has written; send a decision's `X-Position` as `X-Min-Position` to wait."""
        faults: list[Fault] = []
        wanted = DecisionFilter(
            tenant_id=request.user.tenant_id,
            customer_id=customer_id or "",
            recommendation_id=request_id or "",
            from_ms=read_instant("from", from_, faults) or 0,
            before_ms=LATEST_MS if (before_ms := read_instant("to", to, faults)) is None else before_ms,
        )
        if faults:
            raise invalid(*faults)
        limit = clamp(limit, 1, MAX_LIMIT)
        records, total = await traces.list_records(wanted, limit, offset)
        return TracePage(traces=[shorten(one) for one in records], total=total, limit=limit, offset=offset)

    @get(
        "/{recommendation_id:str}",
        summary="Explain a decision",
        responses=answers(200, FullTrace, FULL_TRACE, 404, 409),
    )
    async def one(
        self,
        request: Request[Principal, Any, Any],
        traces: Injected[TraceService],
        recommendation_id: FromPath[str],
    ) -> FullTrace:
        """Show the result of each node, rule and policy, the scores of candidates, and the facts of the decision."""
        return show(await traces.load_record(request.user.tenant_id, recommendation_id))


class DecisionController(Controller):
    """Replays of past decisions."""

    path = "/decisions"
    tags = ["Deciding"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "traces", READS: True}

    @post(
        "/{recommendation_id:str}/replay",
        status_code=200,
        summary="Make a past decision again",
        responses=answers(200, Replay, _REPLAY, 404, 409),
    )
    async def replay(
        self,
        request: Request[Principal, Any, Any],
        traces: Injected[TraceService],
        recommendation_id: FromPath[str],
    ) -> Replay:
        """Run it on its facts and its catalogue, without any effect, and compare the answers."""
        return await traces.replay(request.user.tenant_id, recommendation_id)
