"""Keeps the members of segments up to date."""

from __future__ import annotations

import time
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import structlog

from rapport.domain.catalogue.values import Status
from rapport.fairness import Backoff, take_turns
from rapport.jobs import PartialFailureError, try_each
from rapport.storage.catalogue import load_catalogue
from rapport.storage.segments import (
    RefreshContext,
    load_changed_tenants,
    load_refresh_times,
    load_refreshes,
    refresh_segment,
)
from rapport.storage.tenants import load_time_zones

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from rapport.domain.catalogue.strategy import MetricDefinition
    from rapport.domain.profiles.segments import Segment
    from rapport.storage.catalogue import EntityVersion, StoredCatalogue
    from rapport.storage.database import Database
    from rapport.storage.segments import SegmentRefresh

log = structlog.get_logger(__name__)
FIRST_RETRY_S: Final = 10.0
LONGEST_RETRY_S: Final = 3_600.0
REVIEW_S: Final = 60.0
"""So often the schedule is made anew from the tables; in between it follows the changes of segments."""


class _DueSegment(NamedTuple):
    tenant_id: str
    stored: StoredCatalogue
    record: EntityVersion


async def refresh_stored_segment(
    database: Database, tenant_id: str, time_zone: str, stored: StoredCatalogue, record: EntityVersion, now_ms: int
) -> SegmentRefresh:
    """Refresh one segment of a tenant's catalogue. Two refreshes at once come to the same members.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    context = RefreshContext(tenant_id=tenant_id, time_zone=time_zone, metrics=_find_active_metrics(stored))
    segment = cast("Segment", record.entity)
    done = await database.call(refresh_segment, context, segment, record.version, now_ms)
    log.info("segment refreshed", tenant_id=tenant_id, segment_id=record.id, customers=done.customer_count)
    return done


class SegmentRefresher:
    """Refreshes active segments when they are too old or have changed.

    It keeps a schedule: for each tenant with active segments when the first of them is due. So a pass reads which
    segments have changed, in one query for all tenants, and loads the catalogues of only those tenants that have
    something to refresh.

    Args:
        database: The database.
        clock: Returns epoch milliseconds.
        every_s: How old the members of an active segment may become.
        monotonic: Returns seconds; paces the reviews.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], int],
        *,
        every_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._clock = clock
        self._every_ms = round(every_s * 1000)
        self._monotonic = monotonic
        self._backoff = Backoff[tuple[str, str]](first_s=FIRST_RETRY_S, longest_s=LONGEST_RETRY_S)
        self._due_ms: dict[str, int] = {}
        self._changes: dict[str, int] = {}
        self._reviewed_at = -float("inf")

    async def refresh_due(self) -> None:
        """Refresh every active segment that is due; tenants take turns.

        A segment that could not be refreshed is left alone for a while, the longer the more often that happened.

        Raises:
            StorageError: ClickHouse does not answer.
            PartialFailureError: Some segments could not be refreshed, or some catalogues not be read.
        """
        tenants = await self._find_tenants()
        if not tenants:
            return
        zones = await self._database.call(load_time_zones)
        due: list[_DueSegment] = []

        async def find(tenant_id: str) -> None:
            if tenant_id in zones:
                due.extend(await self._find_segments(tenant_id))
            else:
                self._due_ms.pop(tenant_id, None)

        async def refresh(one: _DueSegment) -> None:
            await self._refresh(one, zones[one.tenant_id])

        errors = await try_each(tenants, find)
        errors += await try_each(take_turns(due, attrgetter("tenant_id")), refresh)
        if errors:
            raise PartialFailureError(errors)

    async def _find_tenants(self) -> Collection[str]:
        """Find the tenants that may have something to refresh, and bring the schedule up to date."""
        changes = await self._database.call(load_changed_tenants, round(3 * REVIEW_S))
        changed = [tenant_id for tenant_id, at in changes.items() if self._changes.get(tenant_id) != at]
        if self._monotonic() - self._reviewed_at >= REVIEW_S:
            began_at = self._monotonic()
            times = await self._database.call(load_refresh_times)
            self._due_ms = {tenant_id: refreshed_ms + self._every_ms for tenant_id, refreshed_ms in times.items()}
            self._reviewed_at = began_at
        else:
            self._due_ms |= dict.fromkeys(changed, 0)
        self._changes = changes
        now_ms = self._clock()
        return [tenant_id for tenant_id, due_ms in self._due_ms.items() if due_ms <= now_ms]

    async def _find_segments(self, tenant_id: str) -> list[_DueSegment]:
        """Find a tenant's segments that are due, and note when the next is."""
        stored = await self._database.call(load_catalogue, tenant_id)
        known = await self._database.call(load_refreshes, tenant_id)
        now_ms = self._clock()
        due: list[_DueSegment] = []
        times: list[int] = []
        for record in stored.records["segment"].values():
            if record.is_deleted or record.entity is None or record.entity.status is not Status.ACTIVE:
                continue
            latest = known.get(record.id)
            is_current = latest is not None and latest.version == record.version
            due_ms = latest.refreshed_at_ms + self._every_ms if latest is not None and is_current else 0
            if due_ms <= now_ms and (pause_s := self._backoff.remaining_s((tenant_id, record.id))):
                due_ms = now_ms + round(pause_s * 1000)
            elif due_ms <= now_ms:
                due.append(_DueSegment(tenant_id, stored, record))
                due_ms = now_ms + self._every_ms
            times.append(due_ms)
        if times:
            self._due_ms[tenant_id] = min(times)
        else:
            self._due_ms.pop(tenant_id, None)
        return due

    async def _refresh(self, one: _DueSegment, time_zone: str) -> None:
        key = one.tenant_id, one.record.id
        try:
            await refresh_stored_segment(
                self._database, one.tenant_id, time_zone, one.stored, one.record, self._clock()
            )
        except Exception as error:
            log.warning("a segment could not be refreshed", tenant_id=key[0], segment_id=key[1], error=repr(error))
            self._backoff.note_failure(key)
            retry_ms = self._clock() + round(self._backoff.remaining_s(key) * 1000)
            self._due_ms[one.tenant_id] = min(self._due_ms.get(one.tenant_id, retry_ms), retry_ms)
            raise
        self._backoff.note_success(key)


def _find_active_metrics(stored: StoredCatalogue) -> Mapping[str, MetricDefinition]:
    definitions = cast("list[MetricDefinition]", stored.entities.get("metric", ()))
    return {one.key: one for one in definitions if one.status is Status.ACTIVE}
