"""Cache of merges, computed once per state of them and per process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from api.runtime.refreshing_cache import RefreshingCache
from rapport.domain.profiles.identity import Merges
from rapport.storage.identity import MergeStamp, read_merge_stamp, read_merges

if TYPE_CHECKING:
    from api.runtime.versions import Versions
    from rapport.storage.client import Store
    from rapport.storage.database import Database

FRESH_S: Final = 0.75
STALE_S: Final = 1.5
MAX_TENANTS: Final = 1_000


class _StampedMerges(NamedTuple):
    """Merges, and the state they are of."""

    stamp: MergeStamp
    merges: Merges


class IdentityCache:
    """Cache of merged identities, at most 1.5 s old (stale-while-revalidate), and with every announced merge.

    Older ones count while ClickHouse is away.
    """

    def __init__(self, database: Database, versions: Versions) -> None:
        self._database = database
        self._merges = RefreshingCache[str, _StampedMerges](
            "merges",
            self._load,
            fresh_s=FRESH_S,
            stale_s=STALE_S,
            max_entries=MAX_TENANTS,
            version=lambda tenant_id, _known: versions.of(tenant_id, "merges"),
        )

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
        return (await self._merges.get(tenant_id)).merges

    async def refresh(self, tenant_id: str) -> Merges:
        """Look for newer merges now; for requests that must see every earlier merge.

        Raises:
            StorageError: As :meth:`of`.
        """
        return (await self._merges.refresh(tenant_id)).merges

    async def _load(self, tenant_id: str, before: _StampedMerges | None) -> _StampedMerges:
        return await self._database.call(_load_newer, tenant_id, before)


def _load_newer(store: Store, tenant_id: str, known: _StampedMerges | None) -> _StampedMerges:
    """Load the newest merges; return the cached ones if those are they."""
    stamp = read_merge_stamp(store, tenant_id)  # before the merges: one that comes in between is looked for again
    if known is not None and known.stamp == stamp:
        return known
    return _StampedMerges(stamp, read_merges(store, tenant_id))
