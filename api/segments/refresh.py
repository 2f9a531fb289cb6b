"""Keeps the members of segments up to date: in the background, and on request."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import structlog

from api.http.errors import ApiError
from rapport.domain.catalogue.values import Status
from rapport.domain.profiles.segments import Segment
from rapport.fairness import Backoff, take_turns
from rapport.jobs import PartialFailureError, try_each
from rapport.storage.catalogue import load_catalogue
from rapport.storage.segments import RefreshContext, load_due_tenants, load_refreshes, refresh_segment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from api.runtime.catalogue_cache import CompiledCatalogues
    from api.runtime.database import Database
    from api.runtime.tenant_cache import TenantCache
    from rapport.domain.catalogue.strategy import MetricDefinition
    from rapport.storage.catalogue import EntityVersion, StoredCatalogue
    from rapport.storage.segments import SegmentRefresh

log = structlog.get_logger(__name__)
FIRST_RETRY_S: Final = 10.0
LONGEST_RETRY_S: Final = 3_600.0


class _Due(NamedTuple):
    tenant_id: str
    stored: StoredCatalogue
    record: EntityVersion


class SegmentRefresher:
    """Refreshes segments, of each tenant one at a time.

    Two processes may find the same segment due: they come to the same members.

    Args:
        every_s: How old the members of an active segment may become.
        clock: Epoch milliseconds.
    """

    def __init__(
        self,
        database: Database,
        catalogues: CompiledCatalogues,
        tenants: TenantCache,
        clock: Callable[[], int],
        *,
        every_s: float,
    ) -> None:
        self._database = database
        self._catalogues = catalogues
        self._tenants = tenants
        self._clock = clock
        self._every_ms = round(every_s * 1000)
        self._backoff = Backoff[tuple[str, str]](first_s=FIRST_RETRY_S, longest_s=LONGEST_RETRY_S)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def refresh_due(self) -> None:
        """Refresh every active segment that is too old or whose definition has changed; tenants take turns.

        A segment that could not be refreshed is left alone for a while, the longer the more often that happened.

        Raises:
            StorageError: ClickHouse does not answer.
            PartialFailureError: Some segments could not be refreshed, or some catalogues not be read.
        """
        before_ms = self._clock() - self._every_ms
        due: list[_Due] = []

        async def find(tenant_id: str) -> None:
            stored = await self._database.call(load_catalogue, tenant_id)
            known = await self._database.call(load_refreshes, tenant_id)
            due.extend(
                _Due(tenant_id, stored, record)
                for record in stored.records["segment"].values()
                if _is_due(record, known.get(record.id), before_ms) and self._backoff.is_due((tenant_id, record.id))
            )

        async def refresh(one: _Due) -> None:
            key = one.tenant_id, one.record.id
            try:
                await self._refresh(*one)
            except Exception as error:
                log.warning("a segment could not be refreshed", tenant_id=key[0], segment_id=key[1], error=repr(error))
                self._backoff.note_failure(key)
                raise
            self._backoff.note_success(key)

        setbacks = await try_each(await self._database.call(load_due_tenants, before_ms), find)
        setbacks += await try_each(take_turns(due, attrgetter("tenant_id")), refresh)
        if setbacks:
            raise PartialFailureError(setbacks)

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
        return cast("Segment", record.entity), await self._refresh(tenant_id, stored, record)

    async def _refresh(self, tenant_id: str, stored: StoredCatalogue, record: EntityVersion) -> SegmentRefresh:
        tenant = await self._tenants.get(tenant_id)
        tenancy = RefreshContext(tenant_id=tenant_id, time_zone=tenant.time_zone, metrics=_find_active_metrics(stored))
        async with self._locks[tenant_id]:
            segment = cast("Segment", record.entity)
            done = await self._database.call(refresh_segment, tenancy, segment, record.version, self._clock())
        log.info("segment refreshed", tenant_id=tenant_id, segment_id=record.id, customers=done.customer_count)
        return done


def _find_active_metrics(stored: StoredCatalogue) -> Mapping[str, MetricDefinition]:
    definitions = cast("list[MetricDefinition]", stored.entities.get("metric", ()))
    return {one.key: one for one in definitions if one.status is Status.ACTIVE}


def _is_due(record: EntityVersion, known: SegmentRefresh | None, before_ms: int) -> bool:
    if record.is_deleted or record.entity is None or record.entity.status is not Status.ACTIVE:
        return False
    return known is None or known.version != record.version or known.refreshed_at_ms <= before_ms
