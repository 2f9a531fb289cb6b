"""What every model gives: a score for a candidate, why, and what chance might have made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rapport.domain.decisions.valuation import ScoreDistribution

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from rapport.domain.decisions.candidates import Candidate, Context

DRAWS: Final = 100
"""How many draws stand for a model's chance: an estimated probability has a standard error of at most 0.05."""


class ModelScore(NamedTuple):
    """What a model says.

    Attributes:
        score: From 0 to 1.
        explanation: What led to it, as it stands in the trace.
        prospects: None for a model that leaves nothing to chance. Worked out only when asked for.
    """

    score: float
    explanation: Mapping[str, Any]
    prospects: Callable[[], ScoreDistribution] | None = None


CandidateScorer = Callable[["Candidate"], ModelScore]


@dataclass(frozen=True, slots=True)
class Scorer:
    """A model ready to be asked.

    Attributes:
        learns: Whether the model takes evidence into account itself, so that no evidence may take its place.
        begin: Prepares what is the same for all candidates of one decision.
    """

    learns: bool
    begin: Callable[[Context, Random], CandidateScorer]

    def score(self, candidate: Candidate, context: Context, random: Random) -> ModelScore:
        """Score one candidate."""
        return self.begin(context, random)(candidate)


_CANDIDATE_NAMESPACES: Final = ("offer", "creative", "channel")


def read_field(name: str, candidate: Candidate, context: Context) -> object:
    """Find a field that a model asks for. A bare name is the customer's, then the offer's."""
    known = _read_customer_attribute(name, context)
    return context.lookup(name, candidate) if known is None else known


def is_candidate_field(name: str, context: Context) -> bool:
    """Whether a field can differ between the candidates of one decision."""
    namespace, dot, _ = name.partition(".")
    if dot:
        return namespace in _CANDIDATE_NAMESPACES
    return name != "segments" and _read_customer_attribute(name, context) is None


def _read_customer_attribute(name: str, context: Context) -> object:
    """The value of a bare name that is the same for all candidates; None for all others."""
    if "." in name:
        return None
    return context.customer.attributes.get(name)
