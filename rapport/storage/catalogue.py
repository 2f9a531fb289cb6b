"""The stored catalogue: entities with their versions, as of now or of any earlier time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from rapport.domain.catalogue.values import Entity
from rapport.domain.catalogue_checks.kinds import KINDS
from rapport.domain.json_limits import MAX_DEPTH, is_too_deep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rapport.storage.client import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityVersion:
    """One version of one entity.

    Attributes:
        version: Version of the entity; ascends by one.
        entity: None if the stored body cannot be decoded any more.
        fault: Why the body cannot be decoded; else empty.
        is_deleted: Whether this version deleted the entity.
        changed_by: Name of the key or command that wrote the version.
        created_at_ms: Time of the entity's first version.
        updated_at_ms: Time of this version.
    """

    kind: str
    id: str
    version: int
    entity: Entity | None
    fault: str = ""
    is_deleted: bool
    changed_by: str
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True)
class StoredCatalogue:
    """A tenant's catalogue at one revision.

    Attributes:
        revision: 0 for a tenant that has no catalogue yet.
        records: Versions by kind and id, deleted entities included.
    """

    revision: int
    records: Mapping[str, Mapping[str, EntityVersion]]

    @property
    def stamp(self) -> str:
        """Text that differs between revisions of the catalogue."""
        return str(self.revision)

    @cached_property
    def entities(self) -> Mapping[str, Sequence[Entity]]:
        """Entities that are not deleted and can be decoded, by kind."""
        return {
            kind: [record.entity for record in records.values() if record.entity is not None and not record.is_deleted]
            for kind, records in self.records.items()
        }

    @property
    def faults(self) -> Sequence[str]:
        """Descriptions of the entities that cannot be decoded."""
        return [
            f"{record.kind} {record.id}: {record.fault}"
            for records in self.records.values()
            for record in records.values()
            if record.fault and not record.is_deleted
        ]

    def find(self, kind: str, entity_id: str) -> EntityVersion | None:
        """Return an entity that is not deleted, or None."""
        record = self.records.get(kind, {}).get(entity_id)
        return None if record is None or record.is_deleted else record


def read_catalogue_stamp(store: Store, tenant_id: str) -> str:
    """Read the current :attr:`StoredCatalogue.stamp`, without the entities; cheap."""
    return str(_revisions(store, tenant_id, "1970-01-01 00:00:00.000")[0])


def read_stamp_at(store: Store, tenant_id: str, at_ms: int) -> str:
    """Read the stamp as of some time, in epoch milliseconds."""
    seconds, milliseconds = divmod(at_ms, 1000)
    return str(_revisions(store, tenant_id, f"{seconds}.{milliseconds:03d}")[1])


def load_catalogue(store: Store, tenant_id: str, stamp: str | None = None) -> StoredCatalogue:
    """Load a tenant's whole catalogue: the revision with a stamp, or the newest."""
    revision = int(read_catalogue_stamp(store, tenant_id) if stamp is None else stamp)
    records: dict[str, dict[str, EntityVersion]] = {kind: {} for kind in KINDS}
    for row in store.rows("catalogue/at_revision", {"tenant_id": tenant_id, "revision": revision}):
        kind, entity_id = row["kind"], row["entity_id"]
        entity, fault = decode_entity(kind, row["body"])
        records.setdefault(kind, {})[entity_id] = EntityVersion(
            kind=kind,
            id=entity_id,
            version=row["newest_version"],
            entity=entity,
            fault=fault,
            is_deleted=bool(row["is_deleted"]),
            changed_by=row["changed_by"],
            created_at_ms=row["created_at_ms"],
            updated_at_ms=row["updated_at_ms"],
        )
    return StoredCatalogue(revision, records)


def load_catalogue_at(store: Store, tenant_id: str, at_ms: int) -> StoredCatalogue:
    """Load the catalogue as of some time, in epoch milliseconds."""
    return load_catalogue(store, tenant_id, read_stamp_at(store, tenant_id, at_ms))


def load_history(store: Store, tenant_id: str, kind: str, entity_id: str) -> list[EntityVersion]:
    """Load all versions of one entity, the newest first; empty if there never was one."""
    rows = store.rows("catalogue/history", {"tenant_id": tenant_id, "kind": kind, "entity_id": entity_id})
    return [_version_from_row(kind, entity_id, row, rows[-1]["stored_at_ms"]) for row in rows]


def decode_entity(kind: str, body: str) -> tuple[Entity | None, str]:
    """Decode an entity from JSON; return None and the reason if it cannot be decoded."""
    if kind not in KINDS:
        return None, f"the kind {kind!r} is not known"
    if is_too_deep(body.encode()):
        return None, f"it is nested deeper than {MAX_DEPTH} levels"
    try:
        return msgspec.json.decode(body, type=KINDS[kind]), ""
    except msgspec.DecodeError as error:
        return None, str(error)


def _revisions(store: Store, tenant_id: str, at: str) -> tuple[int, int]:
    (row,) = store.rows("catalogue/revision", {"tenant_id": tenant_id, "at": at})
    return row["newest"], row["newest_then"]


def _version_from_row(kind: str, entity_id: str, row: Mapping[str, Any], created_at_ms: int) -> EntityVersion:
    entity, fault = decode_entity(kind, row["body"])
    return EntityVersion(
        kind=kind,
        id=entity_id,
        version=row["version"],
        entity=entity,
        fault=fault,
        is_deleted=bool(row["is_deleted"]),
        changed_by=row["changed_by"],
        created_at_ms=created_at_ms,
        updated_at_ms=row["stored_at_ms"],
    )
