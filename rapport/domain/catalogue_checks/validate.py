"""Validation of changes to a catalogue.

Every changed entity must be valid by itself, its references must exist, and names and keys must be unique.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rapport.domain.catalogue.customer_schema import CustomerSchema
from rapport.domain.catalogue.plain import to_full_fields
from rapport.domain.catalogue.values import Entity
from rapport.domain.catalogue_checks.entity_checks import find_entity_faults
from rapport.domain.catalogue_checks.kinds import KINDS
from rapport.domain.decisions.catalogue import BASE_FLOW_KEY
from rapport.domain.faults import Fault
from rapport.domain.profiles.attributes import find_schema_faults

Entities = Mapping[str, Sequence[Entity]]
"""Catalogue: entities by kind."""
UNIQUE_NAMES: Final = frozenset(
    {
        "category",
        "sub_category",
        "contact_policy",
        "suppression_rule",
        "qualification_rule",
        "ranking_profile",
        "channel",
    }
)
"""Kinds whose names must be unique; names of other kinds may repeat."""


@dataclass(frozen=True, slots=True)
class EntityFault:
    """Fault of an entity in the catalogue.

    Attributes:
        field: Path of the field, as in JSON.
        message: States what is wrong and what would be right.
    """

    kind: str
    id: str
    field: str
    message: str


def find_faults(changed: Iterable[tuple[str, Entity]], after: Entities) -> list[EntityFault]:
    """Return all faults of changed entities.

    Args:
        changed: Entities to check, with their kinds.
        after: Whole catalogue after the changes.
    """
    known = list_known_names(after)
    faults: list[EntityFault] = []
    for kind, entity in changed:
        entity_faults = [*find_entity_faults(kind, entity, known), *_find_duplicates(kind, entity, after.get(kind, ()))]
        if isinstance(entity, CustomerSchema):
            others = (other for other in after.get(kind, ()) if isinstance(other, CustomerSchema))
            entity_faults += find_schema_faults(entity, others)
        faults += [EntityFault(kind, entity.id, fault.field, fault.message) for fault in entity_faults]
    return faults


def apply_changes(
    entities: Entities, put: Iterable[tuple[str, Entity]], gone: Iterable[tuple[str, str]] = ()
) -> Entities:
    """Return a catalogue in which some entities are added or replaced, and others, by kind and id, removed."""
    by_id = {kind: {entity.id: entity for entity in entities.get(kind, ())} for kind in KINDS}
    for kind, entity in put:
        by_id[kind][entity.id] = entity
    for kind, entity_id in gone:
        by_id[kind].pop(entity_id, None)
    return {kind: list(some.values()) for kind, some in by_id.items()}


def is_same(one: Entity, other: Entity) -> bool:
    """Return whether two entities have equal fields; unlike ``==``, a list equals a tuple of equal items."""
    return bool(to_full_fields(one) == to_full_fields(other))


def list_known_names(entities: Entities) -> Mapping[str, frozenset[str]]:
    """Return the names that references may use, ids and keys, by kind."""
    known = {
        kind: {entity.id for entity in entities.get(kind, ())}
        | {key for entity in entities.get(kind, ()) if (key := getattr(entity, "key", ""))}
        for kind in KINDS
    }
    known["decision_flow"].add(BASE_FLOW_KEY)
    del known["segment"]  # requests can put customers into segments that the catalogue does not define
    return {kind: frozenset(names) for kind, names in known.items()}


def is_draft_fault(fault: EntityFault) -> bool:
    """Return whether a fault concerns the draft of a flow, which is checked when the flow is published."""
    return fault.kind == "decision_flow" and (fault.field == "draft" or fault.field.startswith("draft."))


def _find_duplicates(kind: str, entity: Entity, others: Sequence[Entity]) -> Iterator[Fault]:
    key = getattr(entity, "key", "")
    for other in others:
        if other.id == entity.id:
            continue
        if key and getattr(other, "key", "") == key:
            yield Fault("key", f"{key!r} is the key of {other.id!r} already")
        if kind in UNIQUE_NAMES and other.name.casefold() == entity.name.casefold():
            yield Fault("name", f"{other.id!r} is called {other.name!r} already")
