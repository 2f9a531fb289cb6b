"""Lists members of segments, refreshes segments, and compares them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, cast

from api.http.errors import ApiError, invalid
from api.segments.overlap import report_overlap
from rapport.application.segments.refresh import refresh_stored_segment
from rapport.domain.faults import Fault
from rapport.storage.segments import count_overlaps, list_members, load_refreshes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from api.http.times import Clock
    from api.runtime.catalogue_cache import CompiledCatalogues
    from api.runtime.tenant_cache import TenantCache
    from api.segments.schemas import OverlapReport
    from rapport.domain.profiles.segments import Segment
    from rapport.storage.database import Database
    from rapport.storage.segments import Member, SegmentRefresh


class SegmentService:
    """Segments of every tenant. On request they are refreshed here, of each tenant one at a time."""

    def __init__(self, database: Database, catalogues: CompiledCatalogues, tenants: TenantCache, clock: Clock) -> None:
        self._database = database
        self._catalogues = catalogues
        self._tenants = tenants
        self._clock = clock
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def list_members(
        self, tenant_id: str, segment_id: str, *, after: str, limit: int
    ) -> tuple[Sequence[Member], SegmentRefresh | None]:
        """List members by customer id, and return the latest refresh, if there was one.

        Raises:
            ApiError: 404; there is no such segment.
        """
        await self._find_names(tenant_id, [segment_id])
        found = await self._database.call(list_members, tenant_id, segment_id, after=after, limit=limit)
        return found, (await self._database.call(load_refreshes, tenant_id)).get(segment_id)

    async def refresh(self, tenant_id: str, segment_id: str) -> tuple[Segment, SegmentRefresh]:
        """Refresh one segment now, whatever its status.

        Raises:
            ApiError: 404; there is none.
            StorageError: ClickHouse does not answer.
        """
        stored = await self._catalogues.refresh(tenant_id)
        record = stored.find("segment", segment_id)
        if record is None or record.entity is None:
            raise ApiError(404, f"There is no segment {segment_id!r}.")
        tenant = await self._tenants.get(tenant_id)
        async with self._locks[tenant_id]:
            now_ms = self._clock()
            done = await refresh_stored_segment(self._database, tenant_id, tenant.time_zone, stored, record, now_ms)
        return cast("Segment", record.entity), done

    async def compare(self, tenant_id: str, segment_ids: Sequence[str], sample_size: int) -> OverlapReport:
        """Compare segments by the customers they have in common.

        Raises:
            ApiError: 400; a segment does not exist.
        """
        names = await self._find_names(tenant_id, segment_ids, field="segmentIds")
        counts = await self._database.call(count_overlaps, tenant_id, list(names), sample_size)
        return report_overlap(names, counts)

    async def _find_names(self, tenant_id: str, segment_ids: Sequence[str], *, field: str = "") -> Mapping[str, str]:
        """Find the names of segments; one that does not exist is 404, or 400 for a field of the body."""
        stored = await self._catalogues.refresh(tenant_id)
        found = {segment_id: stored.find("segment", segment_id) for segment_id in segment_ids}
        missing = [segment_id for segment_id, record in found.items() if record is None]
        if missing and not field:
            raise ApiError(404, f"There is no segment {missing[0]!r}.")
        if missing:
            raise invalid(*(Fault(field=field, message=f"there is no segment {name!r}") for name in missing))
        return {
            segment_id: record.entity.name if record.entity else segment_id
            for segment_id, record in found.items()
            if record
        }
