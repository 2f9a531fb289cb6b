"""Reads the states of background jobs: of this API process, and of the process that works for all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from api.http.times import iso
from api.jobs.schemas import JobList, JobView, LeaseView
from rapport.application.background_jobs import SCHEDULES
from rapport.jobs import JobState, find_status
from rapport.storage.jobs import read_job_states, read_lease

if TYPE_CHECKING:
    from rapport.jobs import Jobs
    from rapport.storage.database import Database
    from rapport.storage.jobs import LeaseState


class JobService:
    """States of the background jobs."""

    def __init__(self, database: Database, jobs: Jobs) -> None:
        self._database = database
        self._jobs = jobs

    async def list_jobs(self) -> JobList:
        """List the jobs that work for all, whether a process runs them or not, and those of this process.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        lease = await self._database.call(read_lease)
        stored = await self._database.call(read_job_states)
        now_s = time.time()
        for_all = [
            _build_view(stored.get(name) or JobState(name=name, every_s=0.0), "jobs", schedule.every_s, lease, now_s)
            for name, schedule in SCHEDULES.items()
        ]
        own = [_build_view(state, "api", state.every_s, None, now_s) for state in self._jobs.states]
        return JobList(data=[*for_all, *own], lease=None if lease is None else _build_lease(lease, now_s))


def _build_lease(lease: LeaseState, now_s: float) -> LeaseView:
    return LeaseView(
        holder=lease.holder if lease.is_held else None,
        last_holder=lease.holder,
        renewed_at=iso(round(now_s * 1000) - lease.silent_ms),
    )


def _build_view(state: JobState, process: str, every_s: float, lease: LeaseState | None, now_s: float) -> JobView:
    is_run = process == "api" or (lease is not None and lease.is_held)
    return JobView(
        name=state.name,
        process=process,
        status=find_status(state, now_s, is_run=is_run),
        every_seconds=every_s,
        last_started_at=_time(state.started_at),
        last_duration_seconds=None if state.duration_s is None else round(state.duration_s, 3),
        last_success_at=_time(state.succeeded_at),
        due_at=_time(state.due_at),
        failures=state.failures,
        last_error=state.error,
        last_failure_at=_time(state.failed_at),
    )


def _time(at_s: float | None) -> str | None:
    return None if at_s is None else iso(round(at_s * 1000))
