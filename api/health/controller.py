"""Is the process alive, can it serve, and what has it done."""

from __future__ import annotations

import msgspec
from litestar import Controller, Response, get

from api.auth.authentication import PUBLIC
from api.services import FromServices
from rapport.storage.errors import StorageError
from rapport.storage.tenants import load_tenants


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """The process answers."""

    live: bool


class Ready(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the process needs, and whether it has it.

    Attributes:
        ready: Reads and writes work.
        clickhouse: ClickHouse answers and has the tables.
        kafka: Kafka takes events.
        data_lag_ms: How old reads may be; null while it is not known.
    """

    ready: bool
    clickhouse: bool
    kafka: bool
    data_lag_ms: int | None


class HealthController(Controller):
    """For load balancers and monitors; needs no key."""

    opt = {PUBLIC: True}
    tags = ["Operation"]

    @get("/health/live", summary="Is the process alive?")
    async def live(self) -> Live:
        """Answers as long as the process does."""
        return Live(live=True)

    @get("/health/ready", summary="Can it serve?")
    async def ready(self, services: FromServices) -> Response[Ready]:
        """200 when ClickHouse and Kafka answer, else 503, with which of them does."""
        try:
            await services.database.call(load_tenants)
            has_tables = True
        except StorageError:
            has_tables = False
        takes_events = services.gateway.is_ready
        is_ready = has_tables and takes_events
        body = Ready(ready=is_ready, clickhouse=has_tables, kafka=takes_events, data_lag_ms=services.watermark.lag_ms)
        return Response(body, status_code=200 if is_ready else 503)

    @get("/metrics", media_type="text/plain", summary="Prometheus metrics")
    async def metrics(self, services: FromServices) -> bytes:
        """In Prometheus' text format; of all processes of this machine together."""
        return services.metrics.render()
