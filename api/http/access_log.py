"""Trace id, log line and metrics of every request. Plain ASGI, so that unknown routes are seen too."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import structlog
from litestar.enums import ScopeType

from api.http.paths import route_by_segments
from api.http.trace_id import begin_trace

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

    from api.http.metrics import ApiMetrics

log = structlog.get_logger("api.access")

_SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
"""Answers hold customers' data: nobody may keep, frame or guess at them."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER_METHOD: Final = "other"
"""Of whatever else callers make up: each label is a time series for ever."""


class ObservedApp:
    """An ASGI application whose requests are traced, logged and measured; HEAD is answered as GET without the body."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass the server's own events on."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        given = {name: value for name, value in scope["headers"] if name == b"traceparent"}
        trace_id = begin_trace(given.get(b"traceparent", b"").decode("latin-1"))
        status = 500
        method = scope["method"] if scope["method"] in _METHODS else _OTHER_METHOD
        is_head = method == "HEAD"
        if is_head:
            scope["method"] = "GET"
        route_by_segments(scope)

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message["headers"])
                present = {name.lower() for name, _ in headers}
                headers += [pair for pair in _SECURITY_HEADERS if pair[0] not in present]
                message["headers"] = [*headers, (b"x-trace-id", trace_id.encode())]
            elif is_head and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        with structlog.contextvars.bound_contextvars(trace_id=trace_id):
            try:
                await self._app(scope, receive, send_observed)
            finally:
                self._record(scope, method, status, time.perf_counter() - started)

    def _record(self, scope: Any, method: str, status: int, seconds: float) -> None:  # noqa: ANN401 - ASGI's own dictionary
        # The template, not the path: paths hold customers' ids.
        route = scope.get("path_template") or "unknown"
        principal = scope.get("user")
        self._metrics.requests.labels(method, route, status).inc()
        self._metrics.seconds.labels(method, route).observe(seconds)
        log.info(
            "request",
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 2),
            tenant=getattr(principal, "tenant_id", None),
            key=getattr(principal, "key_prefix", None),
        )
