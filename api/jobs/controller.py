"""``/api/v1/jobs``: state of the background jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import Controller, get

from api.auth.principal import requires
from api.http.areas import Injected
from api.http.openapi_responses import answers
from api.jobs.schemas import JobList
from api.jobs.service import JobService
from rapport.domain.api_keys import Role

_EXAMPLE: Final[Mapping[str, Any]] = {
    "data": [
        {
            "name": "segments",
            "process": "jobs",
            "status": "ok",
            "everySeconds": 5.0,
            "lastStartedAt": "2026-03-15T14:29:57.204Z",
            "lastDurationSeconds": 0.187,
            "lastSuccessAt": "2026-03-15T14:29:57.391Z",
            "dueAt": "2026-03-15T14:30:02.391Z",
            "failures": 0,
            "lastError": None,
            "lastFailureAt": None,
        }
    ],
    "lease": {
        "holder": "jobs-1:7:9f86d081",
        "lastHolder": "jobs-1:7:9f86d081",
        "renewedAt": "2026-03-15T14:29:58.796Z",
    },
}


class JobController(Controller):
    """Background work."""

    path = "/jobs"
    tags = ["Operation"]
    guards = [requires(Role.ADMIN)]
    opt = {"scope": "jobs"}

    @get(summary="List background jobs", responses=answers(200, JobList, _EXAMPLE))
    async def list_jobs(self, jobs: Injected[JobService]) -> JobList:
        """List the jobs that work for all tenants, with the process that runs them, and those of the API process.

        States of the former are as of some seconds ago.
        """
        return await jobs.list_jobs()
