"""HTTP server of the process that runs the background jobs: metrics and health."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from jobs.metrics import JobProcessMetrics
    from jobs.runner import JobRunner
    from rapport.settings import JobSettings


@asynccontextmanager
async def serve_health(settings: JobSettings, metrics: JobProcessMetrics, runner: JobRunner) -> AsyncIterator[None]:
    """Serve ``/metrics``, ``/health/live`` and ``/health/ready``.

    Live: the event loop turns. Ready: the database has answered lately, whether this process holds the lease or waits.

    Raises:
        OSError: The port is in use.
    """

    async def show_metrics(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), content_type="text/plain", charset="utf-8")

    async def live(_request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def ready(_request: web.Request) -> web.Response:
        lease = runner.lease
        body = {
            "ready": lease.is_in_touch,
            "holder": lease.holder,
            "holdsLease": lease.is_held,
            "jobs": [asdict(state) for state in runner.states],
        }
        return web.json_response(body, status=200 if lease.is_in_touch else 503)

    server = web.Application()
    server.add_routes(
        [web.get("/metrics", show_metrics), web.get("/health/live", live), web.get("/health/ready", ready)]
    )
    site = web.AppRunner(server, access_log=None)
    await site.setup()
    try:
        await web.TCPSite(site, settings.host, settings.port).start()
        yield
    finally:
        await site.cleanup()
