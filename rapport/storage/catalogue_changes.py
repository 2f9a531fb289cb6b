"""Changes of the catalogue: all of a change, or nothing, and never on top of one that it has not seen.

The invariant: revision n + 1 of a tenant's catalogue is the change whose insert was stored first among those that name
revision n + 1, and whoever writes n + 1 has read n. So changes have one order, each was decided on exactly the state
that the one before it left, and a change that came second is as if it had never been: it is decided anew.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import polars as pl

from rapport.domain.catalogue.values import Entity
from rapport.storage.catalogue import StoredCatalogue, load_catalogue
from rapport.storage.errors import TransientStorageError

if TYPE_CHECKING:
    from rapport.storage.client import Store

MAX_ATTEMPTS: Final = 100
MAX_CHANGES: Final = 50_000
"""Versions of one change; the engine stores more of them in several steps."""
_TYPES: Final = {"version": pl.UInt32, "revision": pl.UInt64, "is_deleted": pl.Boolean}


@dataclass(frozen=True, slots=True)
class EntityChange:
    """What one entity is to become.

    Attributes:
        is_deleted: Whether it ends, as what it was.
    """

    kind: str
    entity: Entity
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes.

    Attributes:
        name: Of the key or the command.
        request_id: The trace of the request, if there is one.
    """

    name: str
    request_id: str = ""


ChangeFunction = Callable[[StoredCatalogue], Sequence[EntityChange]]
"""What is to change, given what is there. Whatever it raises ends the change."""


def change_catalogue(store: Store, tenant_id: str, author: Author, decide: ChangeFunction) -> StoredCatalogue:
    """Change a tenant's catalogue.

    ``decide`` is called again, with what is there then, whenever another change came first.

    Returns:
        The catalogue after the change; as it was, if there was nothing to change.

    Raises:
        TransientStorageError: The database does not answer. It is not known then whether the change took place: the
            one that asked reads again.
    """
    for attempt in range(MAX_ATTEMPTS):
        before = load_catalogue(store, tenant_id)
        changes = decide(before)
        if not changes:
            return before
        if append_versions(store, tenant_id, before, changes, author):
            return load_catalogue(store, tenant_id, str(before.revision + 1))
        time.sleep(random.random() * 0.005 * min(attempt + 1, 10))  # noqa: S311 - so that rivals do not keep step
    raise TransientStorageError(f"the catalogue of {tenant_id} was changed by others {MAX_ATTEMPTS} times in a row")


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
    store.insert("catalog_entities", pl.DataFrame(rows, schema_overrides=_TYPES))
    (first,) = store.rows("catalogue/winner", {"tenant_id": tenant_id, "revision": revision})
    return bool(first["change_id"] == change_id)
