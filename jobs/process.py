"""The process of the background jobs: runs until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import structlog

from jobs.health import serve_health
from jobs.metrics import JobProcessMetrics
from jobs.runner import JobRunner
from rapport.garbage import collect_rarely
from rapport.jobs import STOP_S, cancel_all

if TYPE_CHECKING:
    from rapport.settings import Settings

log = structlog.get_logger(__name__)


async def run_jobs(settings: Settings) -> None:
    """Run until SIGINT or SIGTERM; another process may then take over at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    metrics = JobProcessMetrics()
    runner = JobRunner(settings, metrics)
    async with serve_health(settings.jobs, metrics, runner):
        running = asyncio.create_task(runner.run())
        stopped = asyncio.create_task(stop.wait())
        collect_rarely()
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        await cancel_all([running], again_after_s=2 * STOP_S)
    if not stop.is_set():
        running.result()
    log.info("the process of the jobs stopped")
