"""Whether a catalogue may be as it is to become.

Every entity is right by itself, references lead somewhere, names and keys are unique.
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
from rapport.domain.profiles.attributes import find_schema_faults

Entities = Mapping[str, Sequence[Entity]]
"""A catalogue: what exists, by kind."""
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
"""Kinds whose names tell entities apart; names of other kinds may repeat."""


@dataclass(frozen=True, slots=True)
class EntityFault:
    """One thing that is wrong with an entity.

    Attributes:
        field: Path of the field, as in JSON.
        message: What is wrong and what would be right.
    """

    kind: str
    id: str
    field: str
    message: str


def find_faults(changed: Iterable[tuple[str, Entity]], after: Entities) -> list[EntityFault]:
    """Everything that is wrong with some entities.

    Args:
        changed: Those that are checked, with their kinds.
        after: The whole catalogue with them in it.
    """
    known = list_known_names(after)
    flaws: list[EntityFault] = []
    for kind, entity in changed:
        found = [*find_entity_faults(kind, entity, known), *_find_duplicates(kind, entity, after.get(kind, ()))]
        if isinstance(entity, CustomerSchema):
            others = (one for one in after.get(kind, ()) if isinstance(one, CustomerSchema))
            found += find_schema_faults(entity, others)
        flaws += [EntityFault(kind, entity.id, field, message) for field, message in found]
    return flaws


def apply_changes(
    entities: Entities, put: Iterable[tuple[str, Entity]], gone: Iterable[tuple[str, str]] = ()
) -> Entities:
    """A catalogue with some entities put into it, and others, by kind and id, taken out."""
    by_id = {kind: {entity.id: entity for entity in entities.get(kind, ())} for kind in KINDS}
    for kind, entity in put:
        by_id[kind][entity.id] = entity
    for kind, entity_id in gone:
        by_id[kind].pop(entity_id, None)
    return {kind: list(some.values()) for kind, some in by_id.items()}


def is_same(one: Entity, other: Entity) -> bool:
    """Whether two entities say the same; as values, a list and a tuple of equal items differ."""
    return bool(to_full_fields(one) == to_full_fields(other))


def list_known_names(entities: Entities) -> Mapping[str, frozenset[str]]:
    """What may be referred to, by kind: ids and keys."""
    known = {
        kind: {entity.id for entity in entities.get(kind, ())}
        | {key for entity in entities.get(kind, ()) if (key := getattr(entity, "key", ""))}
        for kind in KINDS
    }
    known["decision_flow"].add(BASE_FLOW_KEY)
    del known["segment"]  # requests may say themselves in which segments customers are
    return {kind: frozenset(names) for kind, names in known.items()}


def is_draft_fault(flaw: EntityFault) -> bool:
    """Whether it is about the nodes of a flow that are still being worked on: they are checked when it is published."""
    return flaw.kind == "decision_flow" and (flaw.field == "draft" or flaw.field.startswith("draft."))


def _find_duplicates(kind: str, entity: Entity, others: Sequence[Entity]) -> Iterator[tuple[str, str]]:
    key = getattr(entity, "key", "")
    for other in others:
        if other.id == entity.id:
            continue
        if key and getattr(other, "key", "") == key:
            yield "key", f"{key!r} is the key of {other.id!r} already"
        if kind in UNIQUE_NAMES and other.name.casefold() == entity.name.casefold():
            yield "name", f"{other.id!r} is called {other.name!r} already"
