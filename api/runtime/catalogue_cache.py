"""Catalogues, compiled once per version of them and per process."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from rapport.domain.decisions.catalogue import Catalogue
from rapport.domain.decisions.compile import compile_catalogue
from rapport.storage.catalogue import load_catalogue, read_catalogue_stamp
from rapport.storage.errors import TransientStorageError

if TYPE_CHECKING:
    from api.runtime.database import Database
    from rapport.storage.catalogue import StoredCatalogue
    from rapport.storage.client import Store

log = structlog.get_logger(__name__)
REFRESH_S: Final = 0.75
"""From this age on it is looked whether there is a newer one, while requests still take the one there is."""
STALE_S: Final = 1.5
"""From this age on requests wait for that look."""
MAX_TENANTS: Final = 1_000
MAX_PAST: Final = 32


@dataclass(frozen=True, slots=True)
class _CachedCatalogue:
    """A catalogue as it is stored and ready, and when it was last seen to be the newest (monotonic seconds)."""

    stored: StoredCatalogue
    ready: Catalogue
    seen_at: float


class CompiledCatalogues:
    """Cache of compiled catalogues, at most 1.5 s old (stale-while-revalidate).

    While ClickHouse is away, the last known ones count.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[str, _CachedCatalogue] = OrderedDict()
        self._past: OrderedDict[tuple[str, str], Catalogue] = OrderedDict()
        self._loading: dict[str, asyncio.Task[_CachedCatalogue]] = {}

    async def of(self, tenant_id: str) -> Catalogue:
        """Return a tenant's catalogue, compiled for decisions.

        Raises:
            StorageError: It was never loaded, and ClickHouse does not answer.
        """
        return (await self._find(tenant_id)).ready

    async def stored(self, tenant_id: str) -> StoredCatalogue:
        """Return a tenant's catalogue with the versions of its entities.

        Raises:
            StorageError: As :meth:`of`.
        """
        return (await self._find(tenant_id)).stored

    async def at(self, tenant_id: str, stamp: str) -> Catalogue:
        """Return a past version of a tenant's catalogue.

        Raises:
            StorageError: It has to be loaded, and ClickHouse does not answer.
        """
        known = self._known.get(tenant_id)
        if known is not None and known.ready.stamp == stamp:
            return known.ready
        if (tenant_id, stamp) not in self._past:
            _, ready = await self._database.call(_load, tenant_id, stamp)
            self._past[tenant_id, stamp] = ready
            while len(self._past) > MAX_PAST:
                self._past.popitem(last=False)
        return self._past[tenant_id, stamp]

    async def refresh(self, tenant_id: str) -> StoredCatalogue:
        """Look for a newer version now; for requests that must see every earlier change.

        Raises:
            StorageError: As :meth:`of`.
        """
        if tenant_id in self._loading:
            await asyncio.shield(self._loading[tenant_id])  # it may have begun before that change
        return (await asyncio.shield(self._look(tenant_id))).stored

    async def _find(self, tenant_id: str) -> _CachedCatalogue:
        known = self._known.get(tenant_id)
        age_s = float("inf") if known is None else time.monotonic() - known.seen_at
        if known is not None and age_s < REFRESH_S:
            return known
        looking = self._look(tenant_id)
        if known is not None and age_s < STALE_S:
            return known
        return await asyncio.shield(looking)

    def _look(self, tenant_id: str) -> asyncio.Task[_CachedCatalogue]:
        """Begin to look for a newer version; concurrent requests share it (single-flight)."""
        if tenant_id not in self._loading:
            task = self._loading[tenant_id] = asyncio.create_task(self._refresh(tenant_id))
            task.add_done_callback(_retrieve)
        return self._loading[tenant_id]

    async def _refresh(self, tenant_id: str) -> _CachedCatalogue:
        before = self._known.get(tenant_id)
        asked_at = time.monotonic()
        try:
            known = _CachedCatalogue(*await self._database.call(_load_newer, tenant_id, before), asked_at)
        except TransientStorageError as error:
            if before is None:
                raise
            log.warning("the catalogue could not be looked up; what was known holds", error=str(error))
            known = _CachedCatalogue(before.stored, before.ready, asked_at)
        finally:
            del self._loading[tenant_id]
        self._known[tenant_id] = known
        self._known.move_to_end(tenant_id)
        while len(self._known) > MAX_TENANTS:
            self._known.popitem(last=False)
        return known


def _load_newer(store: Store, tenant_id: str, known: _CachedCatalogue | None) -> tuple[StoredCatalogue, Catalogue]:
    """Load the newest catalogue; return the cached one if that is it."""
    newest = read_catalogue_stamp(store, tenant_id)
    if known is not None and known.ready.stamp == newest:
        return known.stored, known.ready
    return _load(store, tenant_id, newest)


def _load(store: Store, tenant_id: str, stamp: str) -> tuple[StoredCatalogue, Catalogue]:
    stored = load_catalogue(store, tenant_id, stamp)
    ready = compile_catalogue(stamp, stored.entities)
    for problem in (*stored.faults, *ready.problems):
        log.warning("a part of the catalogue is left out", tenant_id=tenant_id, stamp=stamp, problem=problem)
    return stored, ready


def _retrieve(task: asyncio.Task[_CachedCatalogue]) -> None:
    """Retrieve the error of a look that nobody waits for; the next request sees it again."""
    if not task.cancelled():
        task.exception()
