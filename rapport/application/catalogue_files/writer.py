"""Writer of catalogue files. Applying a file to the catalogue it was written from changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from rapport.application.catalogue_files.outcome_types import to_file_outcome_type
from rapport.application.catalogue_files.reader import NODES, OUTCOME_TYPES, SECTIONS
from rapport.domain.catalogue.plain import to_sparse_fields
from rapport.domain.catalogue.strategy import DecisionFlow
from rapport.domain.catalogue.values import Entity
from rapport.domain.catalogue_checks.validate import Entities

if TYPE_CHECKING:
    from rapport.storage.outcome_types import OutcomeRecord


def write_catalogue(entities: Entities, outcome_types: Iterable[OutcomeRecord] = ()) -> str:
    """Write a catalogue as YAML: ordered by kind and id, without fields that have their defaults.

    Args:
        entities: The catalogue.
        outcome_types: The tenant's outcome types in its order; system types are left out.
    """
    own = [to_sparse_fields(to_file_outcome_type(one)) for one in outcome_types if one.is_active and not one.is_system]
    parts: dict[str, Sequence[Mapping[str, Any]]] = {OUTCOME_TYPES: own} if own else {}
    parts |= {
        section: [_list_fields(entity) for entity in sorted(entities[kind], key=lambda one: one.id)]
        for section, kind in SECTIONS.items()
        if entities.get(kind)
    }
    return str(yaml.safe_dump(parts, sort_keys=False, allow_unicode=True, width=110)) if parts else ""


def _list_fields(entity: Entity) -> Mapping[str, Any]:
    fields = dict(to_sparse_fields(entity))
    first = {name: fields.pop(name) for name in ("id", "key", "name", "status", "description") if name in fields}
    if isinstance(entity, DecisionFlow):
        fields.pop("publishedVersion", None)
        if "draft" in fields and fields["draft"] == fields.get("published"):
            fields[NODES] = fields.pop("draft")
            del fields["published"]
    return first | fields
