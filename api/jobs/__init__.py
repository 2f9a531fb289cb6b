"""State of background work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.areas import Area
from api.jobs.controller import JobController
from api.jobs.service import JobService

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime
    from rapport.jobs import Jobs


def build_jobs(runtime: Runtime, jobs: Jobs) -> Area:
    """Build the area from the database and the jobs of the process."""
    service = JobService(runtime.database, jobs)
    return Area(controllers=[JobController], services={"jobs": service})
