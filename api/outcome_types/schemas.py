"""Outcome types on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from api.http.bodies import Body
from api.http.times import iso
from rapport.domain.outcomes import (
    Classification,
    OutcomeCategory,
    OutcomeDescription,
    OutcomeKey,
    OutcomeName,
    OutcomeOrdinal,
    OwnCategory,
)
from rapport.storage.outcome_types import OutcomeRecord

APPLIES: Final = (
    "Events that Kafka receives from effectiveAt on are counted by this version; what was counted before stays so."
)


class NewOutcomeType(Body, frozen=True, kw_only=True):
    """Outcome type to be made.

    Attributes:
        key: Value of ``outcome`` in events.
        name: For people; made of the key if not given.
        classification: Whether the customer liked it.
        category: Whether it is something the customer saw, or an answer.
        is_conversion: Whether it counts in ``converts``.
        allows_negative_value: Whether its events may take value back, such as refunds.
        ordinal: Its place in lists; last if not given.
    """

    EXAMPLE: ClassVar[Mapping[str, Any]] = {"key": "renewed", "classification": "positive", "isConversion": True}

    key: OutcomeKey
    name: OutcomeName = ""
    description: OutcomeDescription = ""
    classification: Classification
    category: OwnCategory = "response"
    is_conversion: bool = False
    allows_negative_value: bool = False
    ordinal: OutcomeOrdinal | None = None


class ChangedOutcomeType(Body, frozen=True, kw_only=True):
    """Changes of an outcome type; fields left out stay.

    Attributes:
        version: The version this is about; if it is not the newest any more, nothing changes (409).
    """

    ALIASES: ClassVar[Mapping[str, str]] = {"rowVersion": "version"}
    EXAMPLE: ClassVar[Mapping[str, Any]] = {"classification": "neutral", "version": 1}

    name: OutcomeName | None = None
    description: OutcomeDescription | None = None
    classification: Classification | None = None
    category: OwnCategory | None = None
    is_conversion: bool | None = None
    allows_negative_value: bool | None = None
    ordinal: OutcomeOrdinal | None = None
    version: Annotated[int, msgspec.Meta(ge=1)] | None = None


class OutcomeTypeView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An outcome type as it is now.

    Attributes:
        is_system: Made with the tenant; cannot be changed.
        status: active or deleted.
        effective_at: Since when, by Kafka's clock, this version counts.
        applies: The same in words.
    """

    id: str
    tenant_id: str
    key: str
    name: str
    description: str
    classification: Classification
    category: OutcomeCategory
    is_conversion: bool
    allows_negative_value: bool
    is_system: bool
    ordinal: int
    status: Literal["active", "deleted"]
    version: int
    effective_at: str
    applies: str = APPLIES
    created_at: str
    updated_at: str
    deleted_at: str | None


def build_view(tenant_id: str, record: OutcomeRecord) -> OutcomeTypeView:
    """Write an outcome type as the API shows it."""
    return OutcomeTypeView(
        id=record.key,
        tenant_id=tenant_id,
        key=record.key,
        name=record.name,
        description=record.description,
        classification=record.classification,
        category=record.category,
        is_conversion=record.is_conversion,
        allows_negative_value=record.allows_negative_value,
        is_system=record.is_system,
        ordinal=record.ordinal,
        status="active" if record.is_active else "deleted",
        version=record.version,
        effective_at=iso(record.effective_at_ms),
        created_at=iso(record.created_at_ms),
        updated_at=iso(record.updated_at_ms),
        deleted_at=None if record.is_active else iso(record.updated_at_ms),
    )
