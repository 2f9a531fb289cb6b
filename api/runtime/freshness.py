"""Freshness of reads: their lag in a header, and waiting for a client's own write (read-your-writes)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware

from api.http.errors import ApiError, invalid
from api.http.route_options import READS
from api.runtime.positions import parse_position
from rapport.domain.faults import Fault

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

    from api.runtime.watermark import Watermark

WAIT_MS: Final = 2_000
MAX_WAIT_MS: Final = 30_000


class Freshness(ASGIMiddleware):
    """Adds ``X-Data-Lag-Ms`` to reads; honours ``X-Min-Position`` and ``X-Max-Wait-Ms``."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, watermark: Watermark) -> None:
        self._watermark = watermark

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Serve one request.

        Raises:
            ApiError: 409 ``NOT_YET_APPLIED`` if the position was not reached in the time the client chose.
        """
        if not scope["route_handler"].opt.get(READS):
            await next_app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in _HEADERS}
        if b"x-min-position" in headers:
            await self._wait(headers[b"x-min-position"], headers.get(b"x-max-wait-ms", str(WAIT_MS)))
        lag_ms = self._watermark.lag_ms  # before the tables are read: afterwards it would promise too much

        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start" and lag_ms is not None:
                message["headers"] = [*message["headers"], (b"x-data-lag-ms", str(lag_ms).encode())]
            await send(message)

        await next_app(scope, receive, send_dated)

    async def _wait(self, position: str, max_wait: str) -> None:
        if not (max_wait.isascii() and max_wait.isdigit() and len(max_wait) <= 9 and int(max_wait) <= MAX_WAIT_MS):
            raise invalid(Fault(field="X-Max-Wait-Ms", message=f"must be a whole number from 0 to {MAX_WAIT_MS}"))
        if not await self._watermark.wait_for(parse_position(position), int(max_wait) / 1000):
            raise ApiError(
                409,
                f"Position {position} has not been applied within {max_wait} ms; ask again, or wait for longer with "
                f"X-Max-Wait-Ms (up to {MAX_WAIT_MS}).",
                code="NOT_YET_APPLIED",
                headers={"Retry-After": "1"},
            )


_HEADERS: Final = frozenset({b"x-min-position", b"x-max-wait-ms"})
