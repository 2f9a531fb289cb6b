"""Background jobs of the process that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.areas import Area
from api.jobs.controller import JobController

if TYPE_CHECKING:
    from rapport.jobs import Jobs


def build_jobs(jobs: Jobs) -> Area:
    """Build the area from the jobs of the process."""
    return Area(controllers=[JobController], services={"jobs": jobs})
