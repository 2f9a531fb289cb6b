"""What all customers of a tenant together have been shown and have answered, arranged for decisions."""

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

    # MOVED
    from rapport.domain.tenants import Tenant

_NO_BUDGET: Final = Budget()
_NONE: Final = Evidence()


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Totals by what they are asked for; the attributes are those of :class:`TenantFacts`."""

    shown_today: Mapping[str, int]
    shown: Mapping[str, int]
    mean_shown: float
    evidence: Mapping[tuple[str, str], Evidence]


NO_TOTALS: Final = Totals(shown_today={}, shown={}, mean_shown=1.0, evidence={})


def needs_totals(catalogue: Catalogue) -> bool:
    """Whether a catalogue has budgets, or a flow that looks at evidence or at how often offers were shown."""
    has_budget = any(offer.budget != _NO_BUDGET for offer in catalogue.offers.values())
    flows = catalogue.flows.values()
    return has_budget or bool(catalogue.models) or any(_has_totals_node((*f.published, *f.draft)) for f in flows)


def index_totals(totals: Iterable[OfferTotals], catalogue: Catalogue) -> Totals:
    """Add totals up by what they are asked for; the catalogue says which category an offer is of."""
    shown_today: dict[str, int] = {}
    shown: dict[str, int] = {}
    evidence: dict[tuple[str, str], Evidence] = {}
    for one in totals:
        if one.offer_id and one.shown:
            shown_today[one.offer_id] = shown_today.get(one.offer_id, 0) + one.shown_today
            shown[one.offer_id] = shown.get(one.offer_id, 0) + one.shown
        offer = catalogue.offers.get(one.offer_id)
        levels = (
            ("offer", one.offer_id),
            ("category", (offer.category_id if offer else None) or ""),
            ("channel", one.channel_id),
        )
        for key in (*(level for level in levels if level[1]), ("global", "")):
            before = evidence.get(key, _NONE)
            evidence[key] = Evidence(before.positive + one.positive, before.negative + one.negative)
    mean_shown = sum(shown.values()) / len(shown) if shown else 1.0
    return Totals(shown_today=shown_today, shown=shown, mean_shown=mean_shown, evidence=evidence)


def make_tenant_facts(tenant: Tenant, totals: Totals = NO_TOTALS) -> TenantFacts:
    """What one decision knows beyond the customer; what it looks at of the totals is remembered for its record."""
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
        if node.type == "conditional":  # its branches are nodes as they were written
            return True
    return False


@dataclass(frozen=True, slots=True)
class OfferTotals:
    """What all customers together did with one offer on one channel; ``shown_today`` in the tenant's calendar day."""

    offer_id: str
    channel_id: str
    shown_today: int
    shown: int
    positive: int
    negative: int
