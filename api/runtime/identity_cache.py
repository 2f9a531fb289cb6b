"""Cache of merges, computed once per state of them and per process."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from rapport.storage.errors import TransientStorageError
from rapport.storage.identity import read_merge_stamp, read_merges

if TYPE_CHECKING:
    from api.runtime.database import Database
    from rapport.domain.profiles.identity import Merges
    from rapport.storage.client import Store
    from rapport.storage.identity import MergeStamp

log = structlog.get_logger(__name__)
REFRESH_S: Final = 0.75
"""From this age on it is looked whether there are newer ones, while requests still take those there are."""
STALE_S: Final = 1.5
"""From this age on requests wait for that look."""
MAX_TENANTS: Final = 1_000


@dataclass(frozen=True, slots=True)
class _CachedMerges:
    """Merges, the state they are of, and when they were last seen to be the newest (monotonic seconds)."""

    stamp: MergeStamp
    merges: Merges
    seen_at: float


class IdentityCache:
    """Cache of merged identities, at most 1.5 s old (stale-while-revalidate); older ones while ClickHouse is away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[str, _CachedMerges] = OrderedDict()
        self._looking: dict[str, asyncio.Task[_CachedMerges]] = {}

    async def members(self, tenant_id: str, customer_id: str) -> tuple[str, ...]:
        """Return all ids of a person, the canonical one first; almost always just the given one.

        Raises:
            StorageError: As :meth:`of`.
        """
        return (await self.of(tenant_id)).members(customer_id)

    async def of(self, tenant_id: str) -> Merges:
        """Return the merges of a tenant.

        Raises:
            StorageError: They were never read, and ClickHouse does not answer.
        """
        known = self._known.get(tenant_id)
        age_s = float("inf") if known is None else time.monotonic() - known.seen_at
        if known is not None and age_s < REFRESH_S:
            return known.merges
        looking = self._look(tenant_id)
        if known is not None and age_s < STALE_S:
            return known.merges
        return (await asyncio.shield(looking)).merges

    async def refresh(self, tenant_id: str) -> Merges:
        """Look for newer merges now; for requests that must see every earlier merge.

        Raises:
            StorageError: As :meth:`of`.
        """
        if tenant_id in self._looking:
            await asyncio.wait([self._looking[tenant_id]])  # it may have begun before that merge
        return (await asyncio.shield(self._look(tenant_id))).merges

    def _look(self, tenant_id: str) -> asyncio.Task[_CachedMerges]:
        """Begin to look for newer merges; concurrent requests share it (single-flight)."""
        if tenant_id not in self._looking:
            task = self._looking[tenant_id] = asyncio.create_task(self._refresh(tenant_id))
            task.add_done_callback(_retrieve)
        return self._looking[tenant_id]

    async def _refresh(self, tenant_id: str) -> _CachedMerges:
        before = self._known.get(tenant_id)
        asked_at = time.monotonic()
        try:
            stamp, merges = await self._database.call(_load_newer, tenant_id, before)
            known = _CachedMerges(stamp, merges, asked_at)
        except TransientStorageError as error:
            if before is None:
                raise
            log.warning("merges could not be looked up; what was known holds", error=str(error))
            known = _CachedMerges(before.stamp, before.merges, asked_at)
        finally:
            del self._looking[tenant_id]
        self._known[tenant_id] = known
        self._known.move_to_end(tenant_id)
        while len(self._known) > MAX_TENANTS:
            self._known.popitem(last=False)
        return known


def _load_newer(store: Store, tenant_id: str, known: _CachedMerges | None) -> tuple[MergeStamp, Merges]:
    """Load the newest merges; return the cached ones if those are they."""
    stamp = read_merge_stamp(store, tenant_id)  # before the merges: one that comes in between is looked for again
    if known is not None and known.stamp == stamp:
        return stamp, known.merges
    return stamp, read_merges(store, tenant_id)


def _retrieve(task: asyncio.Task[_CachedMerges]) -> None:
    """Retrieve the error of a look that nobody waits for; the next request sees it again."""
    if not task.cancelled():
        task.exception()
