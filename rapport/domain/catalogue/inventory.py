"""Inventory: categories, offers, creatives, channels, placements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

import msgspec

from rapport.domain.catalogue.values import (
    Count,
    Entity,
    Id,
    Instant,
    Key,
    Percent,
    Priority,
    Share,
    Value,
)

ChannelType: TypeAlias = Literal["email", "push", "sms", "in_app", "web", "webhook", "whatsapp", "direct_mail"]


class CustomField(Value, frozen=True):
    """Field of the offers of a category; a computed one has a formula."""

    key: Key
    label: str = ""
    type: Literal["text", "number", "select", "boolean", "date", "computed"] = "text"
    required: bool = False
    options: Sequence[str] = ()
    default_value: str | float | bool | None = None
    formula: str = ""
    output_type: Literal["number", "text"] = "number"


class Category(Entity, frozen=True):
    """Business area; its offers have its custom fields."""

    ordinal: int = 0
    custom_fields: Annotated[Sequence[CustomField], msgspec.Meta(max_length=500)] = ()


class SubCategory(Entity, frozen=True):
    """Part of a category."""

    category_id: Id
    ordinal: int = 0
    custom_fields: Annotated[Sequence[CustomField], msgspec.Meta(max_length=500)] = ()


class Channel(Entity, frozen=True):
    """Way to reach customers.

    Attributes:
        channel_type: Decides which consent it needs. Required; null only where an earlier release stored the channel
            without one: it needs the consent of every type then.
        impression_tracking: explicit: a client reports impressions; implicit: a recommendation is an impression.
        coupling_mode: atomic: if one placement of the channel stays empty, all do.
    """

    channel_type: ChannelType | None = None
    impression_tracking: Literal["explicit", "implicit"] = "explicit"
    coupling_mode: Literal["partial", "atomic"] = "partial"


class Placement(Entity, frozen=True):
    """Slot of a channel."""

    key: Key
    channel_id: Id
    slot_type: str = "banner"
    max_slots: Count = 1


class Schedule(Value, frozen=True):
    """Time in which an offer may be shown: from ``start_at`` up to, not including, ``end_at``."""

    start_at: Instant | None = None
    end_at: Instant | None = None


class Budget(Value, frozen=True):
    """Limits on an offer's impressions and cost over all customers; null for no limit."""

    max_per_day: Count | None = None
    max_total: Count | None = None
    daily_cap_cents: Count | None = None
    lifetime_cap_cents: Count | None = None
    cost_per_impression_cents: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class FrequencyCaps(Value, frozen=True):
    """Limits on an offer's impressions per customer, per calendar period in the tenant's time zone."""

    daily: Count | None = None
    weekly: Count | None = None
    monthly: Count | None = None


class Offer(Entity, frozen=True):
    """Offer that may be recommended to customers.

    Attributes:
        priority: 0 to 100; critical 90, high 70, medium 50, low 25.
        mandatory: Ranks first, and only caps and budgets remove it.
        custom_fields: By key; formulas read them by their bare names.
    """

    category_id: str | None = None
    sub_category_id: str | None = None
    priority: Priority = 50
    schedule: Schedule = Schedule()
    budget: Budget = Budget()
    frequency_caps: FrequencyCaps = FrequencyCaps()
    mandatory: bool = False
    mandatory_reason: str = ""
    mandatory_expires_at: Instant | None = None
    business_value: Share | None = None
    margin: float | None = None
    revenue_value: float | None = None
    product_type: str = ""
    tags: Sequence[str] = ()
    custom_fields: Mapping[str, str | float | bool | None] = {}


class PersonalizationVariable(Value, frozen=True):
    """Variable of a template.

    Attributes:
        source: Field of the value, such as ``customer.first_name``; by default the variable's own name.
        fallback: Text where there is no value.
    """

    variable: Key
    source: str = ""
    fallback: str | None = None


class Creative(Entity, frozen=True):
    """Content of an offer on a channel.

    Attributes:
        placement_id: Null: fits every placement of its channel.
        content: Texts by name (subject, headline, body …) with ``{variable}`` or ``{{variable}}``.
        weight: 0 to 100; its share among the creatives of the same offer in an A/B test.
    """

    offer_id: Id
    channel_id: Id
    placement_id: str | None = None
    template_type: str = "web_banner"
    content: Mapping[str, str] = {}
    personalization: Sequence[PersonalizationVariable] = ()
    ab_test_variant: str | None = None
    weight: Percent = 100
