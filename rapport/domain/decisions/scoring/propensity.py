"""Propensity: the probability of a positive answer, from the caller, from evidence or from a model.

The levels in their order, by their names in the trace:

1. ``request``: the caller's own model scored this offer for this customer (``attributes.propensityScores``).
2. ``model``, if it takes precedence: a bandit, which includes the evidence itself, or a model assigned by an experiment
   or a champion/challenger split, which could not be compared if evidence replaced its scores.
3. ``offer``: 50 or more answers about the offer: their positive rate.
4. ``blend``: 1 to 49 answers: ``(n * rate + 10 * fallback) / (n + 10)``, where the fallback is the first of 5 to 8.
5. ``category``: the rate of the offer's category, from 20 answers.
6. ``channel``: that of the channel, from 20 answers.
7. ``global``: that of all offers, from 10 answers.
8. ``model``: the model that the node names; ``default``: 0.5 where it names none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rapport.domain.decisions.scoring.models.bandit import NO_EVIDENCE

if TYPE_CHECKING:
    from rapport.domain.decisions.candidates import Candidate, Context
    from rapport.domain.decisions.scoring.model_choice import ModelCall
    from rapport.domain.decisions.valuation import Exploration

OFFER_THRESHOLD: Final = 50
CATEGORY_THRESHOLD: Final = 20
CHANNEL_THRESHOLD: Final = 20
GLOBAL_THRESHOLD: Final = 10
SMOOTHING_WEIGHT: Final = 10
DEFAULT: Final = 0.5


class PropensityEstimate(NamedTuple):
    """Estimate of a propensity.

    Attributes:
        value: Propensity; None if it depends on a model that failed.
        explanation: Level and inputs of the estimate, for the trace.
        exploration: How a bandit explores; None for any other source.
    """

    value: float | None
    explanation: Mapping[str, Any]
    exploration: Exploration | None = None


@dataclass(frozen=True, slots=True)
class PropensityEstimator:
    """Estimator of the propensities of one decision's candidates.

    Attributes:
        model: Model of the node; None if the node names none.
        must_decide: Whether the model takes precedence over evidence.
    """

    context: Context
    model: ModelCall | None = None
    must_decide: bool = False

    def estimate(self, candidate: Candidate) -> PropensityEstimate:
        """Estimate the propensity of a candidate."""
        given = self.context.request.propensities.get(candidate.offer.id)
        if given is not None and math.isfinite(given):
            return PropensityEstimate(min(1.0, max(0.0, given)), {"level": "request"})
        if self.model is not None and self.must_decide:
            return self._estimate_from_model(candidate)
        return self._estimate_from_evidence(candidate)

    def _estimate_from_evidence(self, candidate: Candidate) -> PropensityEstimate:
        positive, negative = self.context.tenant.evidence.get(("offer", candidate.offer.id), NO_EVIDENCE)
        answers = positive + negative
        if answers >= OFFER_THRESHOLD:
            return _estimate_rate("offer", positive, negative)
        fallback = self._estimate_from_other_levels(candidate)
        if not answers or fallback.value is None:
            return fallback
        value = (positive + SMOOTHING_WEIGHT * fallback.value) / (answers + SMOOTHING_WEIGHT)
        explanation = {
            "level": "blend",
            "positive": positive,
            "negative": negative,
            "smoothingWeight": SMOOTHING_WEIGHT,
            "fallback": {**fallback.explanation, "value": fallback.value},
        }
        return PropensityEstimate(value, explanation)

    def _estimate_from_other_levels(self, candidate: Candidate) -> PropensityEstimate:
        channel_id = candidate.creative.channel_id if candidate.creative else self.context.request.channel_id
        evidence = self.context.tenant.evidence
        for level, key, least in (
            ("category", candidate.offer.category_id, CATEGORY_THRESHOLD),
            ("channel", channel_id, CHANNEL_THRESHOLD),
            ("global", "", GLOBAL_THRESHOLD),
        ):
            if key is not None:
                positive, negative = evidence.get((level, key), NO_EVIDENCE)
                if positive + negative >= least:
                    return _estimate_rate(level, positive, negative)
        return self._estimate_from_model(candidate)

    def _estimate_from_model(self, candidate: Candidate) -> PropensityEstimate:
        if self.model is None:
            return PropensityEstimate(DEFAULT, {"level": "default"})
        scored = self.model.score(candidate)
        if scored is None:
            return PropensityEstimate(None, {"level": "model", "model": self.model.key, "failed": True})
        return PropensityEstimate(
            scored.score, {"level": "model", "model": self.model.key, **scored.explanation}, scored.exploration
        )


def _estimate_rate(level: str, positive: int, negative: int) -> PropensityEstimate:
    return PropensityEstimate(
        positive / (positive + negative), {"level": level, "positive": positive, "negative": negative}
    )
