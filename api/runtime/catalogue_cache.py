"""Catalogues, compiled once per version of them and per process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from api.runtime.refreshing_cache import RefreshingCache
from rapport.domain.decisions.catalogue import Catalogue
from rapport.domain.decisions.compile import compile_catalogue
from rapport.storage.catalogue import StoredCatalogue, load_catalogue, read_catalogue_stamp

if TYPE_CHECKING:
    from api.runtime.versions import Versions
    from rapport.storage.client import Store
    from rapport.storage.database import Database

log = structlog.get_logger(__name__)
FRESH_S: Final = 0.75
STALE_S: Final = 1.5
MAX_TENANTS: Final = 1_000
MAX_PAST: Final = 32
FOR_EVER: Final = float("inf")
"""A past version never changes."""


class _CatalogueVersion(NamedTuple):
    """A catalogue as it is stored, and compiled."""

    stored: StoredCatalogue
    ready: Catalogue


class CompiledCatalogues:
    """Cache of compiled catalogues, at most 1.5 s old (stale-while-revalidate), and with every announced change.

    While ClickHouse is away, the last known ones count.
    """

    def __init__(self, database: Database, versions: Versions) -> None:
        self._database = database
        self._newest = RefreshingCache[str, _CatalogueVersion](
            "catalogues",
            self._load_newest,
            fresh_s=FRESH_S,
            stale_s=STALE_S,
            max_entries=MAX_TENANTS,
            version=lambda tenant_id, _known: versions.of(tenant_id, "catalogue"),
        )
        self._past = RefreshingCache[tuple[str, str], Catalogue](
            "past catalogues", self._load_past, fresh_s=FOR_EVER, stale_s=FOR_EVER, max_entries=MAX_PAST
        )

    async def of(self, tenant_id: str) -> Catalogue:
        """Return a tenant's catalogue, compiled for decisions.

        Raises:
            StorageError: It was never loaded, and ClickHouse does not answer.
        """
        return (await self._newest.get(tenant_id)).ready

    async def stored(self, tenant_id: str) -> StoredCatalogue:
        """Return a tenant's catalogue with the versions of its entities.

        Raises:
            StorageError: As :meth:`of`.
        """
        return (await self._newest.get(tenant_id)).stored

    async def at(self, tenant_id: str, stamp: str) -> Catalogue:
        """Return a past version of a tenant's catalogue.

        Raises:
            StorageError: It has to be loaded, and ClickHouse does not answer.
        """
        newest = self._newest.peek(tenant_id)
        if newest is not None and newest.ready.stamp == stamp:
            return newest.ready
        return await self._past.get((tenant_id, stamp))

    async def refresh(self, tenant_id: str) -> StoredCatalogue:
        """Look for a newer version now; for requests that must see every earlier change.

        Raises:
            StorageError: As :meth:`of`.
        """
        return (await self._newest.refresh(tenant_id)).stored

    async def _load_newest(self, tenant_id: str, before: _CatalogueVersion | None) -> _CatalogueVersion:
        return await self._database.call(_load_newer, tenant_id, before)

    async def _load_past(self, key: tuple[str, str], _before: Catalogue | None) -> Catalogue:
        return (await self._database.call(_load, *key)).ready


def _load_newer(store: Store, tenant_id: str, known: _CatalogueVersion | None) -> _CatalogueVersion:
    """Load the newest catalogue; return the cached one if that is it."""
    newest = read_catalogue_stamp(store, tenant_id)
    if known is not None and known.ready.stamp == newest:
        return known
    return _load(store, tenant_id, newest)


def _load(store: Store, tenant_id: str, stamp: str) -> _CatalogueVersion:
    stored = load_catalogue(store, tenant_id, stamp)
    ready = compile_catalogue(stamp, stored.entities)
    for problem in (*stored.faults, *ready.problems):
        log.warning("a part of the catalogue is left out", tenant_id=tenant_id, stamp=stamp, problem=problem)
    return _CatalogueVersion(stored, ready)
