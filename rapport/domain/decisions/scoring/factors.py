"""Factors of a score besides the propensity, each from 0 to 1.

==========  ===========================================================================================================
relevance   Suitability of the offer for the customer now: the mean of those parts whose inputs are known.
            recency: ``1 - 0.9 * 2^(-days / 7)`` since the last contact about the offer; 1 without one.
            channel: 1 if the creative's channel is the customer's ``preferred_channel`` (id or type), else 0.5.
            segment: 1 if a tag of the offer names one of the customer's segments, else 0.5.
            product: 1 if the offer's product type is among the customer's ``interests``, else 0.5.
impact      Value of the offer: its business value; else its margin, else its revenue value, both as
            ``amount / (amount + reference value)`` (below 0 counts as 0); 0.5 if it has none of them.
emphasis    Its priority / 100.
fairness    ``1 / (1 + n / m)`` where n is the number of the offer's impressions, and m the mean of this number over
            the tenant's offers that have any.
fatigue     ``1 / (1 + n)`` where n is the number of impressions for the customer in this calendar week.
==========  ===========================================================================================================

No factor depends on the other candidates, so that a further candidate never changes the order of two others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from rapport.domain.decisions.facts import Selection
from rapport.domain.decisions.windows import Window, WindowKind, WindowUnit
from rapport.domain.periods import DAY_MS

if TYPE_CHECKING:
    from rapport.domain.decisions.candidates import Candidate, Context

_HALF_LIFE_DAYS: Final = 7
_UNKNOWN_IMPACT: Final = 0.5
_MISFIT: Final = 0.5
_WEEK: Final = Window(WindowKind.CALENDAR, WindowUnit.WEEK)


class Factors:
    """Factors of the candidates of one decision; the module defines each.

    Args:
        context: Request and facts of the decision.
        reference_value: Margin or revenue value at which impact is 0.5.
    """

    def __init__(self, context: Context, reference_value: float) -> None:
        self._context = context
        self._reference_value = reference_value
        attributes = context.customer.attributes
        self._preferred_channel = attributes.get("preferred_channel")
        interests = attributes.get("interests")
        self._interests = [interests] if isinstance(interests, str) else interests

    def compute_relevance(self, candidate: Candidate) -> float:
        """Compute the relevance."""
        parts = [self.compute_recency(candidate)]
        if self._preferred_channel and candidate.channel is not None:
            own = (candidate.channel.id, candidate.channel.channel_type)
            parts.append(1.0 if self._preferred_channel in own else _MISFIT)
        if candidate.offer.tags and (segments := self._context.segments):
            parts.append(_MISFIT if segments.isdisjoint(candidate.offer.tags) else 1.0)
        if candidate.offer.product_type and isinstance(self._interests, Sequence):
            parts.append(1.0 if candidate.offer.product_type in self._interests else _MISFIT)
        return sum(parts) / len(parts)

    def compute_recency(self, candidate: Candidate) -> float:
        """Compute the recency, a part of the relevance."""
        last_ms = self._context.history.find_latest_contact(_select_offer(candidate.offer.id))
        if last_ms is None:
            return 1.0
        days = max(0, self._context.now_ms - last_ms) / DAY_MS
        return float(1 - 0.9 * 2 ** (-days / _HALF_LIFE_DAYS))

    def compute_impact(self, candidate: Candidate) -> float:
        """Compute the impact."""
        offer = candidate.offer
        if offer.business_value is not None:
            return offer.business_value
        if offer.margin is not None:
            return self.compute_margin(candidate)
        return _UNKNOWN_IMPACT if offer.revenue_value is None else self.compute_revenue(candidate)

    def compute_margin(self, candidate: Candidate) -> float:
        """Compute the margin on the scale of impact; 0 without a margin."""
        return self._scale(candidate.offer.margin or 0.0)

    def compute_revenue(self, candidate: Candidate) -> float:
        """Compute the revenue value on the scale of impact; 0 without a revenue value."""
        return self._scale(candidate.offer.revenue_value or 0.0)

    def _scale(self, amount: float) -> float:
        return 1 - self._reference_value / (max(0.0, amount) + self._reference_value)

    def compute_emphasis(self, candidate: Candidate) -> float:
        """Compute the emphasis."""
        return candidate.offer.priority / 100

    def compute_fairness(self, candidate: Candidate) -> float:
        """Compute the fairness."""
        tenant = self._context.tenant
        shown = tenant.shown.get(candidate.offer.id, 0)
        return 1 / (1 + shown / tenant.mean_shown) if shown else 1.0

    def compute_fatigue(self, candidate: Candidate) -> float:
        """Compute the fatigue."""
        return 1 / (1 + self._context.count(_WEEK, _select_offer(candidate.offer.id)).impressions)


@lru_cache(maxsize=4_096)
def _select_offer(offer_id: str) -> Selection:
    return Selection(offers=frozenset((offer_id,)))


Factor = Callable[[Factors, "Candidate"], float]

OBJECTIVES: Final[Mapping[str, Factor | None]] = {
    "propensity": None,
    "conversion": None,
    "relevance": Factors.compute_relevance,
    "recency": Factors.compute_recency,
    "impact": Factors.compute_impact,
    "margin": Factors.compute_margin,
    "revenue": Factors.compute_revenue,
    "emphasis": Factors.compute_emphasis,
    "fairness": Factors.compute_fairness,
    "fatigue": Factors.compute_fatigue,
}
"""Objectives of a ranking profile; None stands for the propensity, of which ``conversion`` is a synonym."""
