"""Runs the background jobs while this process holds their lease, and writes their states."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import structlog

from jobs.lease import Lease, LeaseLostError
from rapport.application.background_jobs import build_background_jobs
from rapport.jobs import STOP_S, Jobs, cancel_all
from rapport.state.change_announcer import make_change_announcer
from rapport.state.shared_state import connect_shared_state
from rapport.storage.database import Database
from rapport.storage.errors import StorageError
from rapport.storage.jobs import read_job_states, write_job_states

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Sequence

    from jobs.metrics import JobProcessMetrics
    from rapport.jobs import JobState
    from rapport.settings import Settings

T = TypeVar("T")
log = structlog.get_logger(__name__)


class JobRunner:
    """Waits for the lease, runs the jobs while it holds it, and waits again; see :mod:`jobs.lease`.

    Args:
        settings: Of the process.
        metrics: Metrics of the process.
    """

    def __init__(self, settings: Settings, metrics: JobProcessMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._announcer = make_change_announcer(settings.state_url)
        self._database = Database(settings.clickhouse, metrics.time_query)
        self._shared = connect_shared_state(settings.state_url)
        self._jobs: Jobs | None = None
        self._written: dict[str, JobState] = {}
        self._writes = 0
        self.lease = Lease(self._database, settings.jobs.lease_s)

    @property
    def states(self) -> Sequence[JobState]:
        """States of the jobs that this process runs; empty while it waits."""
        return [] if self._jobs is None else self._jobs.states

    async def run(self) -> None:
        """Run until cancelled, and then let others take the lease."""
        try:
            while True:
                await self.lease.acquire()
                try:
                    await self._hold()
                except LeaseLostError:
                    log.warning("the lease of the jobs is lost; this process waits for it", holder=self.lease.holder)
                except StorageError as error:
                    log.warning("the states of the jobs cannot be read", error=str(error)[:500])
        finally:
            await asyncio.to_thread(self._database.close)
            if self._announcer is not None:
                self._announcer.close()
            if self._shared is not None:
                await self._shared.close()

    async def _hold(self) -> None:
        """Run the jobs until the lease is lost or this is cancelled.

        The end has an order: the jobs are cancelled, statements that run are waited for, and only then the lease is
        released. After a crash in between it expires.
        """
        earlier = await self._database.call(read_job_states)
        database = Database(self._settings.clickhouse, self._time_statement, self._announcer)
        work = build_background_jobs(database, self._shared, self._settings.api, lambda: time.time_ns() // 1_000_000)
        self._jobs = Jobs(work, self._metrics.jobs, earlier=earlier)
        self._written, self._writes = {}, 0
        running = asyncio.create_task(self._jobs.run())
        self._metrics.lease_held.set(1)
        try:
            await self._keep_lease(running)
        finally:
            self._metrics.lease_held.set(0)
            await cancel_all([running], again_after_s=STOP_S)
            await asyncio.to_thread(database.close)
            with suppress(StorageError):
                if self.lease.is_held:
                    await self._write_states(self._jobs)
                    await self.lease.release()
            self.lease.drop()
            self._jobs = None

    async def _keep_lease(self, running: asyncio.Task[None]) -> None:
        while not running.done():
            await asyncio.wait({running}, timeout=self.lease.pause_s)
            try:
                await _finish(self._renew())
            except StorageError as error:
                log.warning("the lease of the jobs cannot be renewed", error=str(error)[:500])
                if not self.lease.is_held:
                    raise LeaseLostError from error
        running.result()

    async def _renew(self) -> None:
        await self.lease.renew()
        if self._jobs is not None:
            await self._write_states(self._jobs)

    async def _write_states(self, jobs: Jobs) -> None:
        changed = [state for state in jobs.states if state != self._written.get(state.name)]
        self._writes += 1
        copies = {state.name: replace(state) for state in changed}
        await self._database.call(write_job_states, list(copies.values()), self.lease.term, self._writes)
        self._written |= copies

    @contextmanager
    def _time_statement(self, name: str) -> Iterator[None]:
        """Measure a statement of a job, which begins only while this process holds the lease."""
        self.lease.check()
        with self._metrics.time_query(name):
            yield


async def _finish(work: Coroutine[None, None, T]) -> T:
    """Await something to its end, also if this is cancelled meanwhile: no renewal may follow the release."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
