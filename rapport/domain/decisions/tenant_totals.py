"""Totals over all customers of a tenant, indexed for decisions: impressions and answers by offer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rapport.domain.catalogue.inventory import Budget
from rapport.domain.decisions.facts import Evidence, TenantFacts
from rapport.domain.decisions.record import ReadTrackingMapping

if TYPE_CHECKING:
    from rapport.domain.catalogue.strategy import Node
    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.tenants import Tenant

_NO_BUDGET: Final = Budget()
_NONE: Final = Evidence()


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Totals of a tenant; attributes as in :class:`TenantFacts`."""

    shown_today: Mapping[str, int]
    shown: Mapping[str, int]
    mean_shown: float
    evidence: Mapping[tuple[str, str], Evidence]


NO_TOTALS: Final = Totals(shown_today={}, shown={}, mean_shown=1.0, evidence={})


def needs_totals(catalogue: Catalogue) -> bool:
    """Return whether decisions of a catalogue read totals: for budgets, or in nodes that use evidence or fairness."""
    has_budget = any(offer.budget != _NO_BUDGET for offer in catalogue.offers.values())
    flows = catalogue.flows.values()
    return has_budget or bool(catalogue.models) or any(_has_totals_node((*f.published, *f.draft)) for f in flows)


def index_totals(totals: Iterable[OfferTotals], catalogue: Catalogue) -> Totals:
    """Sum totals by offer, and evidence by offer, category, channel and globally."""
    shown_today: dict[str, int] = {}
    shown: dict[str, int] = {}
    evidence: dict[tuple[str, str], Evidence] = {}
    for row in totals:
        if row.offer_id and row.shown:
            shown_today[row.offer_id] = shown_today.get(row.offer_id, 0) + row.shown_today
            shown[row.offer_id] = shown.get(row.offer_id, 0) + row.shown
        offer = catalogue.offers.get(row.offer_id)
        levels = (
            ("offer", row.offer_id),
            ("category", (offer.category_id if offer else None) or ""),
            ("channel", row.channel_id),
        )
        for key in (*(level for level in levels if level[1]), ("global", "")):
            before = evidence.get(key, _NONE)
            evidence[key] = Evidence(before.positive + row.positive, before.negative + row.negative)
    mean_shown = sum(shown.values()) / len(shown) if shown else 1.0
    return Totals(shown_today=shown_today, shown=shown, mean_shown=mean_shown, evidence=evidence)


def make_tenant_facts(tenant: Tenant, totals: Totals = NO_TOTALS) -> TenantFacts:
    """Build the tenant's facts for one decision; entries of the totals that it reads are tracked for its record."""
    return TenantFacts(
        tenant_id=tenant.tenant_id,
        time_zone=tenant.time_zone,
        shown_today=ReadTrackingMapping(totals.shown_today),
        shown=ReadTrackingMapping(totals.shown),
        mean_shown=totals.mean_shown,
        evidence=ReadTrackingMapping(totals.evidence),
        holdout_percent=tenant.settings.holdout_percent,
    )


def _has_totals_node(nodes: Iterable[Node]) -> bool:
    for node in nodes:
        if node.type == "optimize" or (node.type == "score" and node.config.get("method") in ("propensity", "formula")):
            return True
        if node.type == "score" and node.config.get("floor"):
            return True
        if node.type == "conditional":  # its branches are not decoded here: assume that they need totals
            return True
    return False


@dataclass(frozen=True, slots=True)
class OfferTotals:
    """Impressions and answers for an offer on a channel, over all customers.

    Attributes:
        shown_today: Impressions in the current calendar day of the tenant.
    """

    offer_id: str
    channel_id: str
    shown_today: int
    shown: int
    positive: int
    negative: int
