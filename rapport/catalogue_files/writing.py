"""A catalogue as a file. Applying it to the catalogue that it was written from changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from rapport.catalogue_files.reading import NODES, SECTIONS
from rapport.domain.catalogue.plain import sparse_fields
from rapport.domain.catalogue.strategy import DecisionFlow
from rapport.domain.catalogue.validating import Entities
from rapport.domain.catalogue.values import Entity


def write_catalogue(entities: Entities) -> str:
    """Write a catalogue as YAML: ordered by kind and id, without the fields that have their defaults."""
    parts = {
        section: [_fields_of(entity) for entity in sorted(entities[kind], key=lambda one: one.id)]
        for section, kind in SECTIONS.items()
        if entities.get(kind)
    }
    return str(yaml.safe_dump(parts, sort_keys=False, allow_unicode=True, width=110)) if parts else ""


def _fields_of(entity: Entity) -> Mapping[str, Any]:
    fields = dict(sparse_fields(entity))
    first = {name: fields.pop(name) for name in ("id", "key", "name", "status", "description") if name in fields}
    if isinstance(entity, DecisionFlow):
        fields.pop("publishedVersion", None)
        if "draft" in fields and fields["draft"] == fields.get("published"):
            fields[NODES] = fields.pop("draft")
            del fields["published"]
    return first | fields
