"""Suppression rules: outcomes after which a customer gets no offers for a while."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Final, Literal

import msgspec

from rapport.domain.catalogue.values import Entity, Key, Status

SuppressionScope = Literal["global", "offer", "category"]
MAX_DAYS: Final = 3_650


class SuppressionRule(Entity, frozen=True, kw_only=True):
    """Rule that suppresses offers after some outcomes.

    Attributes:
        outcomes: Any of them begins a suppression, or prolongs the present one.
        scope: Suppressed offers: all, the offer of the outcome, or all offers of its category.
        days: Duration from the latest of these outcomes on.
        ended_by: Any of these outcomes, later and in the same scope, ends it early.
        ended_by_consent: So does a later grant of consent to any of these purposes.
        bypassable: Whether contact policies of type allow_override and mandatory offers override it.
    """

    outcomes: Annotated[Sequence[Key], msgspec.Meta(min_length=1, max_length=50)]
    scope: SuppressionScope = "offer"
    days: Annotated[float, msgspec.Meta(gt=0, le=MAX_DAYS)]
    ended_by: Annotated[Sequence[Key], msgspec.Meta(max_length=50)] = ()
    ended_by_consent: Annotated[Sequence[str], msgspec.Meta(max_length=50)] = ()
    bypassable: bool = False


DEFAULT_SUPPRESSION_RULES: Final[Sequence[SuppressionRule]] = (
    SuppressionRule(
        id="default-unsubscribe",
        name="Unsubscribed",
        outcomes=("unsubscribe", "unsubscribed", "opt_out"),
        scope="global",
        days=90,
        ended_by=("subscribe", "subscribed", "resubscribe", "opt_in"),
        ended_by_consent=("marketing", "email"),
    ),
    SuppressionRule(id="default-dismiss", name="Dismissed", outcomes=("dismiss",), days=7, bypassable=True),
    SuppressionRule(
        id="default-convert", name="Converted", outcomes=("convert", "conversion"), days=14, bypassable=True
    ),
)
"""Rules of a tenant that has none of its own."""


def select_active_rules(configured: Collection[SuppressionRule]) -> Sequence[SuppressionRule]:
    """Select the rules in force, ordered by id.

    Args:
        configured: All rules in a tenant's catalogue. If there is one, whatever its status, the defaults do not
            hold: so they can be switched off.
    """
    if not configured:
        return DEFAULT_SUPPRESSION_RULES
    return sorted((rule for rule in configured if rule.status is Status.ACTIVE), key=lambda rule: rule.id)
