"""Plans: the changes that a catalogue file makes, validated against the catalogue as it would be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from rapport.application.catalogue_files.line_numbers import CatalogueFileError, FileFault
from rapport.application.catalogue_files.outcome_types import PlannedOutcomeChange, plan_outcome_types
from rapport.domain.catalogue.plain import to_full_fields
from rapport.domain.catalogue.strategy import DecisionFlow
from rapport.domain.catalogue_checks.kinds import KINDS
from rapport.domain.catalogue_checks.validate import Entities, apply_changes, find_faults, is_same

if TYPE_CHECKING:
    from rapport.application.catalogue_files.reader import CatalogueFile, EntityNode
    from rapport.domain.catalogue.values import Entity
    from rapport.storage.outcome_types import OutcomeRecord


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """Planned change of one entity.

    Attributes:
        before: None if the entity is created.
        after: None if the entity is deleted.
    """

    kind: str
    before: Entity | None
    after: Entity | None

    @property
    def id(self) -> str:
        """Id of the entity."""
        entity = self.after or self.before
        return entity.id if entity else ""

    @property
    def fields(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Fields of the entity before and after the change; empty where it does not exist."""
        before, after = (to_full_fields(one) if one else {} for one in (self.before, self.after))
        return before, after


@dataclass(frozen=True, slots=True)
class CataloguePlan:
    """Changes that applying a file makes.

    Attributes:
        outcome_types: Changes of outcome types.
        entities: Changes of entities.
        after: The catalogue after the changes.
    """

    outcome_types: Sequence[PlannedOutcomeChange]
    entities: Sequence[PlannedChange]
    after: Entities


def plan_catalogue(
    file: CatalogueFile, stored: Sequence[OutcomeRecord], entities: Entities, *, prune: bool
) -> CataloguePlan:
    """Plan the changes of outcome types and entities by a file.

    Args:
        file: The catalogue file.
        stored: Newest version of each outcome type of the tenant.
        entities: The current catalogue.
        prune: Whether everything is deleted that the file does not contain.

    Raises:
        CatalogueFileError: With all faults of both.
    """
    faults: list[FileFault] = []
    types: Sequence[PlannedOutcomeChange] = ()
    try:
        types = plan_outcome_types(file.outcome_types, stored, prune=prune)
    except CatalogueFileError as error:
        faults += error.faults
    try:
        steps, after = plan_entities(file, entities, prune=prune)
    except CatalogueFileError as error:
        raise CatalogueFileError(sorted([*faults, *error.faults])) from error
    if faults:
        raise CatalogueFileError(faults)
    return CataloguePlan(types, steps, after)


def plan_entities(file: CatalogueFile, entities: Entities, *, prune: bool) -> tuple[Sequence[PlannedChange], Entities]:
    """Plan the changes of the catalogue by a file.

    Args:
        file: The catalogue file.
        entities: The current catalogue.
        prune: Whether everything is deleted that the file does not contain.

    Returns:
        The changes, in the order of the kinds, and the catalogue after them.

    Raises:
        CatalogueFileError: With all faults that the catalogue would have, by lines of the file.
    """
    known = {kind: {entity.id: entity for entity in entities.get(kind, ())} for kind in KINDS}
    wanted = [(one, _set_published(one, known[one.kind].get(one.entity.id))) for one in file.entities]
    held = {(one.kind, one.entity.id) for one in file.entities}
    gone = [
        (kind, entity) for kind in KINDS for entity in entities.get(kind, ()) if prune and (kind, entity.id) not in held
    ]
    after = apply_changes(
        entities, [(one.kind, entity) for one, entity in wanted], [(kind, entity.id) for kind, entity in gone]
    )
    faults = [
        one.fault(flaw.field, flaw.message)
        for one, entity in wanted
        for flaw in find_faults([(one.kind, _replace_draft(entity))], after)
    ]
    if faults:
        raise CatalogueFileError(sorted(set(faults)))
    steps = [PlannedChange(one.kind, known[one.kind].get(entity.id), entity) for one, entity in wanted]
    changed = [one for one in steps if one.before is None or one.after is None or not is_same(one.before, one.after)]
    order = list(KINDS)
    changed += [PlannedChange(kind, entity, None) for kind, entity in gone]
    return sorted(changed, key=lambda one: (order.index(one.kind), one.id)), after


def describe_change(step: PlannedChange | PlannedOutcomeChange) -> Iterator[str]:
    """Describe a change: one line for its subject and one for each field that differs."""
    before, after = map(_flatten, step.fields)
    sign = "+" if step.before is None else "-" if step.after is None else "~"
    yield f"{sign} {step.kind} {step.id}"
    if sign == "~":
        for field in sorted(before.keys() | after.keys()):
            if before.get(field) != after.get(field):
                yield f"    {field}: {_format_value(before.get(field))} -> {_format_value(after.get(field))}"


def _set_published(one: EntityNode, known: Entity | None) -> Entity:
    """Return a flow with its published nodes, from the file or unchanged; the version ascends only if they differ."""
    if not isinstance(one.entity, DecisionFlow):
        return one.entity
    was = known if isinstance(known, DecisionFlow) else DecisionFlow(id=one.entity.id, name="x", key=one.entity.key)
    published = one.entity.published if one.publishes else was.published
    is_new = to_full_fields(published) != to_full_fields(was.published)
    version = was.published_version + 1 if is_new else was.published_version
    return msgspec.structs.replace(one.entity, published=published, published_version=version)


def _replace_draft(entity: Entity) -> Entity:
    """Return a flow for validation, with its published nodes as draft, as the draft may be unfinished."""
    return msgspec.structs.replace(entity, draft=entity.published) if isinstance(entity, DecisionFlow) else entity


def _flatten(value: Any, path: str = "") -> dict[str, Any]:  # noqa: ANN401 - whatever entities hold
    if isinstance(value, dict) and value:
        return {
            name: inner
            for key, one in value.items()
            for name, inner in _flatten(one, f"{path}.{key}" if path else str(key)).items()
        }
    return {path: value}


def _format_value(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."
