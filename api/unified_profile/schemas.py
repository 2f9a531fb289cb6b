"""Unified profiles on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from api.clv.schemas import ClvView
from api.suppressions.schemas import SuppressionView

SectionFault = Literal["TIMEOUT", "UNAVAILABLE", "BUSY", "INVALID_DATA", "FAILED"]


class SectionError(msgspec.Struct, frozen=True, kw_only=True):
    """Error of a section that could not be loaded.

    Attributes:
        code: TIMEOUT, UNAVAILABLE and BUSY may be gone a moment later.
    """

    code: SectionFault
    message: str


class ProfileSection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One section.

    Attributes:
        data: Its items, in the form of the section.
        error: Only where it could not be loaded.
    """

    name: str
    data: Sequence[Any]
    error: SectionError | None = None


class UnifiedProfile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Profile of a customer, section by section."""

    customer_id: str
    tenant_id: str
    sections: Sequence[ProfileSection]
    computed_at: str


class Demographics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Attributes of a customer.

    Attributes:
        attributes: By name; empty if none are stored.
        updated_at: When they were last changed; null if none are stored.
        contact_profiles: Fields of the contact profiles that speak for the customer, the newest first, with their ids.
    """

    attributes: Mapping[str, Any]
    updated_at: str | None
    contact_profiles: Sequence[Mapping[str, Any]]


class RecentInteraction(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One interaction."""

    id: str
    offer_id: str | None
    channel_id: str | None
    interaction_type: str
    timestamp: str


class Contacts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Contacts with a customer over all time."""

    impressions: int = 0
    positive: int = 0
    negative: int = 0
    neutral: int = 0
    converts: int = 0
    total_value: float = 0.0
    last_contact_at: str | None = None


class Interactions(msgspec.Struct, frozen=True, kw_only=True):
    """Interactions of a customer: totals, and recent ones.

    Attributes:
        recent: The last 20, the newest first; recommendations among them.
    """

    totals: Contacts
    recent: Sequence[RecentInteraction]


class NamedSectionError(SectionError, frozen=True, kw_only=True):
    """A section that could not be loaded, and why."""

    section: str


class StructuredProfile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Profile of a customer as one object. Sections that could not be loaded are null and among the errors.

    Attributes:
        metrics: Values of the tenant's behavioral metrics by key; null for the average or extreme of nothing.
        suppressions: Those in force first, then ended ones.
        extensions: Sections of packages, by name.
    """

    customer_id: str
    tenant_id: str
    demographics: Demographics | None
    interactions: Interactions | None
    clv: ClvView | None
    metrics: Mapping[str, float | None] | None
    suppressions: Sequence[SuppressionView] | None
    extensions: Mapping[str, Sequence[Any]]
    errors: Sequence[NamedSectionError]
    computed_at: str
