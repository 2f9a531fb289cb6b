"""The stream worker's process: wait for Kafka and ClickHouse, run the Faust application, stop cleanly or loudly."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from pipeline.app import StreamApp, create_app
from pipeline.health import serve_health
from pipeline.retries import retry_while_unavailable
from rapport.garbage import collect_rarely
from rapport.kafka.topics import wait_for_topics
from rapport.metrics import StreamMetrics
from rapport.state.change_announcer import make_change_announcer
from rapport.storage.client import Store, connect

if TYPE_CHECKING:
    from rapport.settings import Settings

log = structlog.get_logger(__name__)
STOP_TIMEOUT_S = 20.0


async def run_worker(settings: Settings) -> int:
    """Run until SIGINT or SIGTERM.

    Returns:
        The exit code: 0 after a signal, 1 after a permanent error.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    metrics = StreamMetrics()
    main = asyncio.create_task(_run(settings, metrics, stop))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({main, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not main.done():
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(main), STOP_TIMEOUT_S)
        main.cancel()
        with suppress(asyncio.CancelledError):
            await main
        return 0
    return main.result()


async def _run(settings: Settings, metrics: StreamMetrics, stop: asyncio.Event) -> int:
    waiting = asyncio.create_task(_wait_for_services(settings, metrics))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({waiting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        return 0
    cluster_id, store = waiting.result()
    app = create_app(settings, store, cluster_id, metrics)
    app.fatal = asyncio.get_running_loop().create_future()
    async with serve_health(settings.worker, metrics, app):
        try:
            return await _run_app(app, stop)
        finally:
            store.close()
            if app.state_server is not None:
                await app.state_server.close()


async def _wait_for_services(settings: Settings, metrics: StreamMetrics) -> tuple[str, Store]:
    announcer = make_change_announcer(settings.state_url)

    async def open_store() -> Store:
        return await asyncio.to_thread(connect, settings.clickhouse, timer=metrics.time_query, announcer=announcer)

    store = await retry_while_unavailable(open_store, "clickhouse")
    return await wait_for_topics(settings.kafka), store


async def _run_app(app: StreamApp, stop: asyncio.Event) -> int:
    crashed = asyncio.create_task(_wait_for_crash(app))
    stopped = asyncio.create_task(stop.wait())
    await app.start()
    collect_rarely()
    log.info("worker started", topic=app.shared.topic_name, consumer=app.shared.settings.worker.consumer)
    endings: set[asyncio.Future[Any]] = {app.fatal, crashed, stopped}
    await asyncio.wait(endings, return_when=asyncio.FIRST_COMPLETED)
    code = 0 if stop.is_set() else 1
    for task in (crashed, stopped):
        task.cancel()
    with suppress(TimeoutError):
        await asyncio.wait_for(app.stop(), STOP_TIMEOUT_S)
    log.info("worker stopped", exit_code=code)
    return code


async def _wait_for_crash(app: StreamApp) -> None:
    while not app.crashed:  # noqa: ASYNC110 - mode's event belongs to the service's own tasks
        await asyncio.sleep(0.2)
