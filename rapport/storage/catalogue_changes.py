"""Atomic changes of the catalogue with optimistic locking.

The invariant: revision n + 1 of a tenant's catalogue is the change whose insert was stored first among those that name
revision n + 1, and each writer of n + 1 has read n. So changes are ordered, and each was decided on exactly the state
that the one before it left. A change that came second has no effect and is decided again on the new state.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import polars as pl

from rapport.domain.catalogue.values import Entity
from rapport.storage.catalogue import StoredCatalogue, load_catalogue
from rapport.storage.contention import ContestedWriteError, retry_contested

if TYPE_CHECKING:
    from rapport.storage.client import Store

MAX_CHANGES: Final = 50_000
"""Versions in one change; ClickHouse would store more of them in several blocks, not atomically."""
_TYPES: Final = {"version": pl.UInt32, "revision": pl.UInt64, "is_deleted": pl.Boolean}


@dataclass(frozen=True, slots=True)
class EntityChange:
    """New version of one entity.

    Attributes:
        entity: The new state; of a deleted entity, the last one.
    """

    kind: str
    entity: Entity
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Author:
    """Name of the key or command that makes a change.

    Attributes:
        request_id: Trace id of the request, if there is one.
    """

    name: str
    request_id: str = ""


ChangeFunction = Callable[[StoredCatalogue], Sequence[EntityChange]]
"""Returns the changes to make, given the current catalogue. An exception cancels the change."""


def change_catalogue(store: Store, tenant_id: str, author: Author, decide: ChangeFunction) -> StoredCatalogue:
    """Change a tenant's catalogue.

    ``decide`` is called again, with the newer state, whenever another change came first.

    Returns:
        The catalogue after the change; unchanged, if there was nothing to change.

    Raises:
        TransientStorageError: The database does not answer. The change may or may not have been made: the caller reads
            again to find out.
    """

    def change() -> StoredCatalogue:
        before = load_catalogue(store, tenant_id)
        changes = decide(before)
        if not changes:
            return before
        if not append_versions(store, tenant_id, before, changes, author):
            raise ContestedWriteError(f"the catalogue of {tenant_id}")
        return load_catalogue(store, tenant_id, str(before.revision + 1))

    return retry_contested(change)


def append_versions(
    store: Store, tenant_id: str, before: StoredCatalogue, changes: Sequence[EntityChange], author: Author
) -> bool:
    """Write the versions that follow those in ``before``, as one revision.

    Returns:
        False if another change came first; nothing has changed then.

    Raises:
        ValueError: The changes are too many, or name an entity twice.
    """
    if len(changes) > MAX_CHANGES:
        raise ValueError(f"{len(changes)} changes at once are too many; {MAX_CHANGES} are allowed")
    if len({(change.kind, change.entity.id) for change in changes}) < len(changes):
        raise ValueError("an entity is changed twice in one change")
    revision, change_id = before.revision + 1, uuid.uuid4().hex
    rows = []
    for change in changes:
        known = before.records.get(change.kind, {}).get(change.entity.id)
        rows.append(
            {
                "tenant_id": tenant_id,
                "kind": change.kind,
                "entity_id": change.entity.id,
                "version": 1 if known is None else known.version + 1,
                "revision": revision,
                "change_id": change_id,
                "key": getattr(change.entity, "key", ""),
                "name": change.entity.name,
                "status": change.entity.status.value,
                "body": msgspec.json.encode(change.entity).decode(),
                "is_deleted": change.is_deleted,
                "changed_by": author.name,
                "request_id": author.request_id,
            }
        )
    try:
        store.insert("catalogue_entity_versions", pl.DataFrame(rows, schema_overrides=_TYPES))
    finally:  # an insert that has failed may have been made
        store.raise_version(tenant_id, "catalogue")
    (first,) = store.rows("catalogue/stored_first", {"tenant_id": tenant_id, "revision": revision})
    return bool(first["change_id"] == change_id)
