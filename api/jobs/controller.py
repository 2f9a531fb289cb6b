"""``/api/v1/jobs``: state of the background jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from litestar import Controller, get

from api.auth.principal import requires
from api.http.areas import Injected
from api.http.openapi_responses import answers
from api.http.times import iso
from rapport.domain.api_keys import Role
from rapport.jobs import Jobs, JobState

_EXAMPLE: Final[Mapping[str, Any]] = {
    "data": [
        {
            "name": "segments",
            "status": "ok",
            "everySeconds": 5.0,
            "lastStartedAt": "2026-03-15T14:29:57.204Z",
            "lastSuccessAt": "2026-03-15T14:29:57.391Z",
            "dueAt": "2026-03-15T14:30:02.391Z",
            "failures": 0,
            "lastError": None,
            "lastFailureAt": None,
        }
    ]
}


class JobView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One job of the process that answers.

    Attributes:
        status: ok, failing, or waiting where no pass has ended yet.
        due_at: When the next pass begins; null while one runs.
        failures: Passes that have failed since the last success.
        last_error: Of which kind it was; the logs of the process say more.
    """

    name: str
    status: str
    every_seconds: float
    last_started_at: str | None
    last_success_at: str | None
    due_at: str | None
    failures: int
    last_error: str | None
    last_failure_at: str | None


class JobList(msgspec.Struct, frozen=True, kw_only=True):
    """Every job."""

    data: Sequence[JobView]


class JobController(Controller):
    """Background work."""

    path = "/jobs"
    tags = ["Operation"]
    guards = [requires(Role.ADMIN)]
    opt = {"scope": "jobs"}

    @get(summary="List background jobs", responses=answers(200, JobList, _EXAMPLE))
    async def list_jobs(self, jobs: Injected[Jobs]) -> JobList:
        """List the jobs of the process that answers; each process has its own. Jobs work for all tenants."""
        return JobList(data=[_build_view(state) for state in jobs.states])


def _build_view(state: JobState) -> JobView:
    status = "failing" if state.failures else "waiting" if state.succeeded_at is None else "ok"
    return JobView(
        name=state.name,
        status=status,
        every_seconds=state.every_s,
        last_started_at=_time(state.started_at),
        last_success_at=_time(state.succeeded_at),
        due_at=_time(state.due_at),
        failures=state.failures,
        last_error=state.error,
        last_failure_at=_time(state.failed_at),
    )


def _time(at_s: float | None) -> str | None:
    return None if at_s is None else iso(round(at_s * 1000))
