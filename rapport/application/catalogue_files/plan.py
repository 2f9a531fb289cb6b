"""What a file changes of a catalogue, and whether it may."""

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
    """What becomes of one entity.

    Attributes:
        before: None if it is made.
        after: None if it is deleted.
    """

    kind: str
    before: Entity | None
    after: Entity | None

    @property
    def id(self) -> str:
        """Of the entity."""
        entity = self.after or self.before
        return entity.id if entity else ""

    @property
    def fields(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Of the entity before and after; none where there is none."""
        before, after = (to_full_fields(one) if one else {} for one in (self.before, self.after))
        return before, after


@dataclass(frozen=True, slots=True)
class CataloguePlan:
    """What applying a file changes.

    Attributes:
        outcome_types: Steps of outcome types.
        entities: Steps of the catalogue.
        after: The catalogue as it will be.
    """

    outcome_types: Sequence[PlannedOutcomeChange]
    entities: Sequence[PlannedChange]
    after: Entities


def plan_catalogue(
    file: CatalogueFile, known: Sequence[OutcomeRecord], entities: Entities, *, prune: bool
) -> CataloguePlan:
    """Work out what applying a file changes, of outcome types (``known``) and of the catalogue.

    Raises:
        CatalogueFileError: With all faults of both.
    """
    faults: list[FileFault] = []
    types: Sequence[PlannedOutcomeChange] = ()
    try:
        types = plan_outcome_types(file.outcome_types, known, prune=prune)
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
    """Work out what applying a file changes of the catalogue.

    Args:
        file: What is wanted.
        entities: The catalogue as it is.
        prune: Whether everything is deleted that the file does not hold.

    Returns:
        What changes, in the order of the kinds, and the catalogue as it will be.

    Raises:
        CatalogueFileError: With everything that is wrong with the catalogue as it would be, by lines of the file.
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
    """A step in words, one line for what it is about and one for each field that differs."""
    before, after = map(_flatten, step.fields)
    sign = "+" if step.before is None else "-" if step.after is None else "~"
    yield f"{sign} {step.kind} {step.id}"
    if sign == "~":
        for field in sorted(before.keys() | after.keys()):
            if before.get(field) != after.get(field):
                yield f"    {field}: {_format_value(before.get(field))} -> {_format_value(after.get(field))}"


def _set_published(one: EntityNode, known: Entity | None) -> Entity:
    """A flow with what is published of it: as the file says, or as it is; a new version only if that differs."""
    if not isinstance(one.entity, DecisionFlow):
        return one.entity
    was = known if isinstance(known, DecisionFlow) else DecisionFlow(id=one.entity.id, name="x", key=one.entity.key)
    published = one.entity.published if one.publishes else was.published
    is_new = to_full_fields(published) != to_full_fields(was.published)
    version = was.published_version + 1 if is_new else was.published_version
    return msgspec.structs.replace(one.entity, published=published, published_version=version)


def _replace_draft(entity: Entity) -> Entity:
    """A flow to be checked: what is published of it, while its draft may be unfinished."""
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
