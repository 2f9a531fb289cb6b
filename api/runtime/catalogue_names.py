"""Names of entities in a catalogue, also of deleted ones, because events still name them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from rapport.domain.catalogue.inventory import Category, Channel, Creative, Offer, SubCategory
from rapport.domain.catalogue.values import Entity
from rapport.storage.catalogue import StoredCatalogue

if TYPE_CHECKING:
    from collections.abc import Iterator

E = TypeVar("E", bound=Entity)
DELETED = "deleted"


class NamedEntity(NamedTuple, Generic[E]):
    """An entity, and its status: its own, or ``deleted``."""

    entity: E
    status: str


class EntityNames:
    """Entities of a tenant by id."""

    def __init__(self, stored: StoredCatalogue) -> None:
        self._records = stored.records

    def knows(self, kind: str, entity_id: str) -> bool:
        """Return whether there is, or was, such an entity."""
        return entity_id in self._records.get(kind, {})

    def offer(self, entity_id: str | None) -> NamedEntity[Offer] | None:
        """Return an offer; None if there is none."""
        return self._find("offer", Offer, entity_id)

    def creative(self, entity_id: str | None) -> NamedEntity[Creative] | None:
        """Return a creative; None if there is none."""
        return self._find("creative", Creative, entity_id)

    def channel(self, entity_id: str | None) -> NamedEntity[Channel] | None:
        """Return a channel; None if there is none."""
        return self._find("channel", Channel, entity_id)

    def category(self, entity_id: str | None) -> NamedEntity[Category] | None:
        """Return a category; None if there is none."""
        return self._find("category", Category, entity_id)

    def sub_category(self, entity_id: str | None) -> NamedEntity[SubCategory] | None:
        """Return a sub-category; None if there is none."""
        return self._find("sub_category", SubCategory, entity_id)

    def creatives(self) -> Iterator[NamedEntity[Creative]]:
        """Go through the creatives that can be read."""
        found = (self.creative(entity_id) for entity_id in self._records.get("creative", {}))
        return (one for one in found if one is not None)

    def _find(self, kind: str, expected: type[E], entity_id: str | None) -> NamedEntity[E] | None:
        record = self._records.get(kind, {}).get(entity_id or "")
        if record is None or not isinstance(record.entity, expected):
            return None
        return NamedEntity(record.entity, DELETED if record.is_deleted else record.entity.status.value)


NO_ENTITIES = EntityNames(StoredCatalogue(0, {}))
"""While the catalogue cannot be looked up."""
