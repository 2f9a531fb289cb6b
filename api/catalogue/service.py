"""Reads and changes catalogues for requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from api.catalogue import changes
from api.catalogue.shapes import build_view, publications
from api.runtime.compute_threads import run_in_thread
from rapport.storage.catalogue import load_history

if TYPE_CHECKING:
    from api.auth.principal import Principal
    from api.catalogue.bodies import Fields
    from api.catalogue.resource import Resource
    from api.runtime.catalogue_cache import CompiledCatalogues
    from rapport.storage.catalogue import EntityVersion, StoredCatalogue
    from rapport.storage.database import Database


class CatalogueService:
    """Entities of every kind."""

    def __init__(self, database: Database, catalogues: CompiledCatalogues) -> None:
        self._database = database
        self._catalogues = catalogues

    async def load(self, tenant_id: str) -> StoredCatalogue:
        """Load a catalogue with every change that was made before."""
        return await self._catalogues.refresh(tenant_id)

    async def load_versions(self, tenant_id: str, kind: str, entity_id: str) -> Sequence[EntityVersion]:
        """Load every version of an entity, the newest first."""
        return await self._database.call(load_history, tenant_id, kind, entity_id)

    async def create(self, principal: Principal, kind: str, fields: Fields) -> EntityVersion:
        """Make an entity; see :func:`api.catalogue.changes.create`."""
        return await self._database.call(changes.create, principal, kind, fields)

    async def replace(
        self, principal: Principal, kind: str, entity_id: str, fields: Fields, expected: int | None
    ) -> EntityVersion:
        """Replace an entity; see :func:`api.catalogue.changes.replace`."""
        return await self._database.call(changes.replace, principal, kind, entity_id, fields, expected)

    async def patch(
        self, principal: Principal, kind: str, entity_id: str, fields: Fields, expected: int | None
    ) -> EntityVersion:
        """Change some fields of an entity; see :func:`api.catalogue.changes.patch`."""
        return await self._database.call(changes.patch, principal, kind, entity_id, fields, expected)

    async def delete(self, principal: Principal, kind: str, entity_id: str, expected: int | None) -> None:
        """Delete an entity; see :func:`api.catalogue.changes.delete`."""
        await self._database.call(changes.delete, principal, kind, entity_id, expected)

    async def show(self, resource: Resource, tenant_id: str, records: Iterable[EntityVersion]) -> list[dict[str, Any]]:
        """Write entities as answers show them; those that this release cannot read are left out."""
        shown = await run_in_thread(tenant_id, _show_readable, tenant_id, list(records))
        if resource.extras and shown:
            ids = [view["id"] for view in shown]
            extras = await self._database.call(resource.extras.load, tenant_id, ids)
            shown = [view | dict(extras[view["id"]]) for view in shown]
        return shown

    async def show_with_publications(self, resource: Resource, tenant_id: str, record: EntityVersion) -> dict[str, Any]:
        """Write one entity; a flow with the times of its publications, also where it was never published.

        Raises:
            ApiError: 409; this release cannot read what is stored.
        """
        changes.readable(record)
        (view,) = await self.show(resource, tenant_id, [record])
        if record.kind == "decision_flow":
            view["publishedVersions"] = publications(await self.load_versions(tenant_id, record.kind, record.id))
        return view


def _show_readable(tenant_id: str, records: Sequence[EntityVersion]) -> list[dict[str, Any]]:
    return [build_view(tenant_id, record) for record in records if record.entity is not None]
