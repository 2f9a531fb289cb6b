"""What the things that events name are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from rapport.storage.client import Store

_KINDS: Final = {
    "offer": "offers",
    "creative": "creatives",
    "channel": "channels",
    "category": "categories",
    "sub_category": "sub_categories",
}


@dataclass(frozen=True, slots=True)
class NamedEntity:
    """An entity of the catalogue, by which events call it.

    Attributes:
        status: ``deleted`` if it was.
        channel_id: Of a creative.
        offer_id: Of a creative.
        fields: All of it, as it is in JSON.
    """

    id: str
    name: str
    status: str
    channel_id: str | None = None
    offer_id: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Names:
    """A tenant's entities by id."""

    offers: Mapping[str, NamedEntity] = field(default_factory=dict)
    creatives: Mapping[str, NamedEntity] = field(default_factory=dict)
    channels: Mapping[str, NamedEntity] = field(default_factory=dict)
    categories: Mapping[str, NamedEntity] = field(default_factory=dict)
    sub_categories: Mapping[str, NamedEntity] = field(default_factory=dict)


def load_names(store: Store, tenant_id: str) -> Names:
    """Load the names of a tenant's offers, creatives and channels."""
    found: dict[str, dict[str, NamedEntity]] = {name: {} for name in _KINDS.values()}
    for row in store.rows("catalogue/names", {"tenant_id": tenant_id}):
        found[_KINDS[row["kind"]]][row["entity_id"]] = NamedEntity(
            row["entity_id"],
            row["name"],
            row["current_status"],
            row["channel_id"] or None,
            row["offer_id"] or None,
            msgspec.json.decode(row["body"]) if row["body"] else {},
        )
    return Names(**found)
