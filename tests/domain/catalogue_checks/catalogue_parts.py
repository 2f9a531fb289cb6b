"""Catalogues for the linter."""

from __future__ import annotations

from typing import Any

import msgspec

from rapport.domain.catalogue.values import Entity
from rapport.domain.catalogue_checks.kinds import KINDS

Fields = dict[str, Any]
END = [{"id": "score", "type": "score"}, {"id": "response", "type": "response"}]


def catalogue(parts: dict[str, list[Fields]]) -> dict[str, list[Entity]]:
    return {kind: [msgspec.convert(fields, KINDS[kind]) for fields in some] for kind, some in parts.items()}


def policy(**fields: Any) -> Fields:
    given = {"id": "p", "name": "P", "ruleType": "frequency_cap", "config": {"maxPerDay": 1}, "scope": "global"}
    return {**given, **fields}


def flow(*nodes: Fields, **fields: Any) -> Fields:
    published = [{"id": "inventory", "type": "inventory"}, *nodes, *END]
    return {"id": "f", "key": "f", "name": "F", "published": published, "publishedVersion": 1, **fields}
