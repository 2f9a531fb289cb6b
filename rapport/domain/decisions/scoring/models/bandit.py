"""Bandits: models that learn from the answers of all customers and explore offers with little evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from rapport.domain.configs import Config
from rapport.domain.decisions.facts import Evidence
from rapport.domain.decisions.model import CandidateScorer, ModelScore, Scorer
from rapport.domain.decisions.valuation import BetaPosterior, EpsilonShare

if TYPE_CHECKING:
    from random import Random

    from rapport.domain.decisions.candidates import Candidate, Context
    from rapport.domain.decisions.valuation import Exploration

NO_EVIDENCE: Final = Evidence()
Pseudocount = Annotated[float, msgspec.Meta(gt=0, le=1e9)]


class BetaDistribution(Config, frozen=True, kw_only=True):
    """Beta(alpha, beta) distribution of the rate of positive answers."""

    alpha: Pseudocount = 1.0
    beta: Pseudocount = 1.0


class ThompsonConfig(Config, frozen=True, kw_only=True):
    """Thompson sampling: each rank goes to the best of draws from the posteriors of the offers' positive rates.

    Attributes:
        prior: Prior of every offer.
        arms: Priors by offer id, instead of ``prior``. Evidence is added to them likewise.
    """

    prior: BetaDistribution = BetaDistribution()
    arms: Mapping[str, BetaDistribution] = {}


class EpsilonConfig(Config, frozen=True, kw_only=True):
    """Epsilon-greedy: with probability ``epsilon`` a rank goes to any offer, else to that of the highest score."""

    epsilon: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1
    prior: BetaDistribution = BetaDistribution()
    arms: Mapping[str, BetaDistribution] = {}


def compile_thompson(config: ThompsonConfig) -> Scorer:
    """Compile Thompson sampling. The score is the expected rate; the output draws."""
    return _compile(config, lambda posterior: posterior)


def compile_epsilon(config: EpsilonConfig) -> Scorer:
    """Compile epsilon-greedy. The score is the expected rate; the output draws."""
    share = EpsilonShare(config.epsilon) if config.epsilon else None
    return _compile(config, lambda _posterior: share)


def _compile(config: ThompsonConfig | EpsilonConfig, explore: Callable[[BetaPosterior], Exploration | None]) -> Scorer:
    def begin(context: Context, _random: Random) -> CandidateScorer:
        def score(candidate: Candidate) -> ModelScore:
            posterior = _make_posterior(candidate.offer.id, config, context)
            explanation = {"alpha": posterior.alpha, "beta": posterior.beta, "mean": posterior.mean}
            return ModelScore(posterior.mean, explanation, explore(posterior))

        return score

    return Scorer(learns=True, begin=begin)


def _make_posterior(offer_id: str, config: ThompsonConfig | EpsilonConfig, context: Context) -> BetaPosterior:
    before = config.arms.get(offer_id, config.prior)
    evidence = context.tenant.evidence.get(("offer", offer_id), NO_EVIDENCE)
    return BetaPosterior(before.alpha + evidence.positive, before.beta + evidence.negative)
