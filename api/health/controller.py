"""Health checks and metrics."""

from __future__ import annotations

from typing import Literal

import msgspec
from litestar import Controller, Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

from api.health.readiness import Readiness
from api.http.areas import Injected
from api.http.metrics import ApiMetrics
from api.http.route_options import PUBLIC


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """Sign of life of the process."""

    live: bool


class Ready(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """State of the services that the process needs.

    Attributes:
        ready: Reads and writes work.
        clickhouse: ClickHouse answers and has the tables.
        kafka: Kafka takes events.
        jobs: A process runs the background jobs. Without one the process serves, so it is ready all the same.
        state: ``ok``, or ``degraded`` without Valkey: the process serves, slower, with limits and caps of its own.
        data_lag_ms: Age of the data that reads may show; null while it is not known.
    """

    ready: bool
    clickhouse: bool
    kafka: bool
    jobs: bool
    state: Literal["ok", "degraded"]
    data_lag_ms: int | None


def _said(body: Live | Ready, meaning: str) -> ResponseSpec:
    examples = [Example(summary="Example", value=body)]
    return ResponseSpec(data_container=type(body), description=meaning, generate_examples=False, examples=examples)


class HealthController(Controller):
    """For load balancers and monitors; needs no key."""

    opt = {PUBLIC: True}
    security = [{}]
    tags = ["Operation"]

    @get("/health/live", summary="Is the process alive?", responses={200: _said(Live(live=True), "It is.")})
    async def live(self) -> Live:
        """Answer as long as the process does."""
        return Live(live=True)

    @get(
        "/health/ready",
        summary="Can it serve?",
        responses={
            200: _said(
                Ready(ready=True, clickhouse=True, kafka=True, jobs=True, state="ok", data_lag_ms=480), "It can."
            ),
            503: _said(
                Ready(ready=False, clickhouse=True, kafka=False, jobs=True, state="degraded", data_lag_ms=None),
                "It cannot.",
            ),
        },
    )
    async def ready(self, readiness: Injected[Readiness]) -> Response[Ready]:
        """Answer 200 when ClickHouse and Kafka do, else 503, with which of them does; at most a second old."""
        has_tables = await readiness.has_tables()
        takes_events = readiness.takes_events
        is_ready = has_tables and takes_events
        body = Ready(
            ready=is_ready,
            clickhouse=has_tables,
            kafka=takes_events,
            jobs=readiness.runs_jobs,
            state="ok" if readiness.shares_state else "degraded",
            data_lag_ms=readiness.lag_ms,
        )
        return Response(body, status_code=200 if is_ready else 503)

    @get(
        "/metrics",
        media_type="text/plain",
        summary="Prometheus metrics",
        responses={
            200: ResponseSpec(
                data_container=str,
                description="Text.",
                generate_examples=False,
                media_type="text/plain",
                examples=[Example(summary="Example", value="rapport_api_data_lag_ms 480.0")],
            )
        },
    )
    async def metrics(self, metrics: Injected[ApiMetrics]) -> bytes:
        """Write metrics in Prometheus' text format; of all processes of this machine together."""
        return metrics.render()
