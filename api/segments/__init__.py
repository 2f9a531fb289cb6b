"""Members of segments, kept up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.areas import Area
from api.segments.controller import SegmentMemberController
from api.segments.refresh import SegmentRefresher
from api.segments.service import SegmentService
from rapport.jobs import Job

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime


def build_segments(runtime: Runtime) -> Area:
    """Build the area from the database, the caches and the clock of the process."""
    every_s = runtime.settings.api.segment_refresh_s
    refresher = SegmentRefresher(runtime.database, runtime.catalogues, runtime.tenants, runtime.clock, every_s=every_s)
    return Area(
        controllers=[SegmentMemberController],
        services={"segments": SegmentService(runtime.database, runtime.catalogues, refresher)},
        jobs=[Job(name="segments", work=refresher.refresh_due, every_s=5.0, first_after_s=2.5)],
    )
