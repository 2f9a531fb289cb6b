"""Bandits: models that learn from the answers of all customers and explore offers with little evidence."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import msgspec

from rapport.domain.configs import Config
from rapport.domain.decisions.facts import Evidence
from rapport.domain.decisions.model import DRAWS, CandidateScorer, ModelScore, Scorer
from rapport.domain.decisions.valuation import ScoreDistribution

if TYPE_CHECKING:
    from rapport.domain.decisions.candidates import Candidate, Context

NO_EVIDENCE: Final = Evidence()
Pseudocount = Annotated[float, msgspec.Meta(gt=0, le=1e9)]


class BetaDistribution(Config, frozen=True, kw_only=True):
    """Beta(alpha, beta) distribution of the rate of positive answers."""

    alpha: Pseudocount = 1.0
    beta: Pseudocount = 1.0


class ThompsonConfig(Config, frozen=True, kw_only=True):
    """Thompson sampling: the score of an offer is a draw from the posterior of its positive rate.

    Attributes:
        prior: Prior of every offer.
        arms: Priors by offer id, instead of ``prior``. Evidence is added to them likewise.
    """

    prior: BetaDistribution = BetaDistribution()
    arms: Mapping[str, BetaDistribution] = {}


class EpsilonConfig(Config, frozen=True, kw_only=True):
    """Epsilon-greedy: with probability ``epsilon`` a decision scores offers at random, else by their expected rates."""

    epsilon: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1
    prior: BetaDistribution = BetaDistribution()
    arms: Mapping[str, BetaDistribution] = {}


class _Posterior(NamedTuple):
    offer_id: str
    alpha: float
    beta: float

    @property
    def mean(self) -> float:
        return self.alpha / (self.alpha + self.beta)

    def explain(self) -> dict[str, float]:
        return {"alpha": self.alpha, "beta": self.beta, "mean": self.mean}


def compile_thompson(config: ThompsonConfig) -> Scorer:
    """Compile Thompson sampling. All creatives of an offer share one draw per decision."""

    def begin(context: Context, random: Random) -> CandidateScorer:
        drawn: dict[str, ModelScore] = {}

        def score(candidate: Candidate) -> ModelScore:
            offer_id = candidate.offer.id
            if offer_id not in drawn:
                posterior = _make_posterior(offer_id, config, context)
                draw, turn = random.betavariate(posterior.alpha, posterior.beta), random.randrange(DRAWS)
                explanation = {**posterior.explain(), "draw": draw}
                drawn[offer_id] = ModelScore(draw, explanation, lambda: _make_distribution(posterior, draw, turn))
            return drawn[offer_id]

        return score

    return Scorer(learns=True, begin=begin)


def _make_posterior(offer_id: str, config: ThompsonConfig | EpsilonConfig, context: Context) -> _Posterior:
    before = config.arms.get(offer_id, config.prior)
    evidence = context.tenant.evidence.get(("offer", offer_id), NO_EVIDENCE)
    return _Posterior(offer_id, before.alpha + evidence.positive, before.beta + evidence.negative)


def _make_distribution(posterior: _Posterior, draw: float, turn: int) -> ScoreDistribution:
    """Return the distribution of the actual draw and a sample of others, all equally probable.

    The sample is the same in every decision; rotating it by ``turn`` pairs the draws of different offers anew.
    """
    others = _sample_draws(posterior)
    return ScoreDistribution((1 / (DRAWS + 1),) * (DRAWS + 1), (draw, *others[turn:], *others[:turn]))


@lru_cache(maxsize=2_048)
def _sample_draws(posterior: _Posterior) -> tuple[float, ...]:
    """Draw a sample, cached: a draw takes 3 us, and the posterior is the same for all customers until new evidence."""
    random = Random(repr(posterior))  # noqa: S311 - a sample for an estimate, not a secret
    return tuple(random.betavariate(posterior.alpha, posterior.beta) for _ in range(DRAWS))


def compile_epsilon(config: EpsilonConfig) -> Scorer:
    """Compile epsilon-greedy."""
    weights = (1 - config.epsilon, *(config.epsilon / DRAWS for _ in range(DRAWS)))

    def begin(context: Context, random: Random) -> CandidateScorer:
        explores = random.random() < config.epsilon
        drawn: dict[str, ModelScore] = {}

        def score(candidate: Candidate) -> ModelScore:
            offer_id = candidate.offer.id
            if offer_id not in drawn:
                posterior, seed, draw = (
                    _make_posterior(offer_id, config, context),
                    random.getrandbits(64),
                    random.random(),
                )

                def compute_distribution() -> ScoreDistribution:
                    others = Random(seed)  # noqa: S311 - as above
                    first = draw if explores else others.random()  # the draw that was made is one of them
                    return ScoreDistribution(
                        weights, (posterior.mean, first, *(others.random() for _ in range(DRAWS - 1)))
                    )

                explanation = {**posterior.explain(), "explores": explores}
                drawn[offer_id] = ModelScore(draw if explores else posterior.mean, explanation, compute_distribution)
            return drawn[offer_id]

        return score

    return Scorer(learns=True, begin=begin)
