"""Segments of customers: members, refreshes on request, and overlaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.areas import Area
from api.segments.controller import SegmentMemberController
from api.segments.service import SegmentService

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime


def build_segments(runtime: Runtime) -> Area:
    """Build the area from the database, the caches and the clock of the process."""
    segments = SegmentService(runtime.database, runtime.catalogues, runtime.tenants, runtime.clock)
    return Area(controllers=[SegmentMemberController], services={"segments": segments})
