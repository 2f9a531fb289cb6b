"""Suppressions on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from api.http.bodies import Body
from api.http.times import iso
from rapport.domain.catalogue.suppression import SuppressionScope

if TYPE_CHECKING:
    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.profiles.suppressions import Suppression


class SuppressionView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Suppression of the offers of a scope for a customer.

    Attributes:
        scope_id: Of the offer or the category; all for global.
        offer_name: Null for other scopes, and where the catalogue does not know the offer.
        rule_id: The suppression rule it follows from; traces of decisions name it.
        reason: For people.
        trigger_count: How many outcomes have prolonged it, the first included.
        expires_at: It ends then.
        ended_by: The outcome, the consent or the operator that ended it; null if time does.
        created_at: When the first of these outcomes happened.
    """

    id: str
    scope: SuppressionScope
    scope_id: str
    offer_name: str | None
    policy_type: Literal["outcome_based"]
    rule_id: str
    reason: str
    trigger_count: int
    expires_at: str
    ended_by: str | None
    created_at: str
    is_active: bool


class LiftBody(Body, frozen=True, kw_only=True):
    """Reason for lifting a suppression.

    Attributes:
        reason: For the audit log; no personal data.
    """

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class Suppressions(msgspec.Struct, frozen=True, kw_only=True):
    """Suppressions: those in force first, then ended ones."""

    data: Sequence[SuppressionView]


def build_view(suppression: Suppression, catalogue: Catalogue, now_ms: int) -> SuppressionView:
    """As the API shows it."""
    offer = catalogue.offers.get(suppression.scope_id) if suppression.scope == "offer" else None
    return SuppressionView(
        id=suppression.id,
        scope=suppression.scope,
        scope_id=suppression.scope_id,
        offer_name=offer.name if offer else None,
        policy_type="outcome_based",
        rule_id=suppression.rule_id,
        reason=suppression.reason,
        trigger_count=suppression.trigger_count,
        expires_at=iso(suppression.expires_at_ms),
        ended_by=suppression.ended_by or None,
        created_at=iso(suppression.created_at_ms),
        is_active=suppression.is_active(now_ms),
    )
