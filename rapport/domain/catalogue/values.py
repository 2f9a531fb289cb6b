"""Common parts of a tenant's configuration: offers, creatives, channels, policies, flows … as JSON and YAML values.

Names and enumerations are those of the documented product. An entity's version, times and author are no part of it:
they belong to the table ``catalogue_entity_versions``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^[A-Za-z0-9_.:-]+$")]
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.-]+$")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Text = Annotated[str, msgspec.Meta(max_length=10_000)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Priority = Annotated[int, msgspec.Meta(ge=0, le=100)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Instant = Annotated[str, msgspec.Meta(description="ISO 8601; UTC where it names no zone")]


class Status(StrEnum):
    """Status of an entity; only active ones take part in decisions."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    ARCHIVED = "archived"


class ScopeKind(StrEnum):
    """Kind of entity that a rule or policy applies to. All but global need an id."""

    GLOBAL = "global"
    OFFER = "offer"
    CREATIVE = "creative"
    CHANNEL = "channel"
    CATEGORY = "category"
    SUBCATEGORY = "subcategory"
    SEGMENT = "segment"
    PLACEMENT = "placement"


class Value(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Part of an entity."""


class Entity(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Fields of every entity.

    Attributes:
        id: Chosen by the tenant, or made by the API; events name entities by it.
    """

    id: Id
    name: Name
    description: Text = ""
    status: Status = Status.ACTIVE


class Scope(Value, frozen=True):
    """Entity that a rule or policy applies to."""

    scope: ScopeKind = ScopeKind.GLOBAL
    scope_id: str | None = None
