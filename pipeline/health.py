"""HTTP server of the worker: metrics and health."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from pipeline.app import StreamApp
    from rapport.metrics import StreamMetrics
    from rapport.settings import WorkerSettings


@asynccontextmanager
async def serve_health(settings: WorkerSettings, metrics: StreamMetrics, app: StreamApp) -> AsyncIterator[None]:
    """Serve ``/metrics``, ``/health/live`` and ``/health/ready``.

    Live: the event loop turns and nothing fatal happened. Ready: partitions are assigned, none of them is refused.

    Raises:
        OSError: The port is in use.
    """

    async def show_metrics(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), content_type="text/plain", charset="utf-8")

    async def live(_request: web.Request) -> web.Response:
        is_live = not app.fatal.done() and not app.crashed
        return web.json_response({"live": is_live}, status=200 if is_live else 503)

    async def ready(_request: web.Request) -> web.Response:
        positions = app.shared.positions
        is_ready = bool(positions.next_offset) and not positions.refused and not app.fatal.done()
        body = {
            "ready": is_ready,
            "partitions": {str(p.partition): offset for p, offset in positions.next_offset.items()},
            "refused": {str(p.partition): reason for p, reason in positions.refused.items()},
            "jobs": [asdict(state) for state in app.jobs.states],
            "secondsSinceBatch": app.shared.applier.last_committed_at
            and round(time.time() - app.shared.applier.last_committed_at, 3),
        }
        return web.json_response(body, status=200 if is_ready else 503)

    server = web.Application()
    server.add_routes(
        [web.get("/metrics", show_metrics), web.get("/health/live", live), web.get("/health/ready", ready)]
    )
    runner = web.AppRunner(server, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
        yield
    finally:
        await runner.cleanup()
