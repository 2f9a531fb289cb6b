"""A section of the unified profile: the loyalty tier that a customer's purchases have earned."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from rapport.application.profiles.sections import SectionContext, profile_section
from rapport.storage.customer_profiles import read_contact_totals

Tier = Literal["bronze", "silver", "gold"]
_TIERS: Final[tuple[tuple[Tier, int], ...]] = (("gold", 1_000), ("silver", 250), ("bronze", 0))


class LoyaltyCard(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer has earned: a point for each unit of the tenant's currency."""

    tier: Tier
    points: int


@profile_section("loyalty", schema=LoyaltyCard)
def loyalty(context: SectionContext) -> list[LoyaltyCard]:
    """The card of a customer; none without a purchase."""
    totals = read_contact_totals(context.store, context.tenant_id, context.customer_ids)
    if totals is None or not totals.converts:
        return []
    points = int(totals.total_value)
    tier = next(name for name, least in _TIERS if points >= least)
    return [LoyaltyCard(tier=tier, points=points)]
