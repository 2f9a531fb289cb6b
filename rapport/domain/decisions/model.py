"""Interface of models: score of a candidate, its explanation, and how the model explores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from rapport.domain.decisions.candidates import Candidate, Context
    from rapport.domain.decisions.valuation import Exploration


class ModelScore(NamedTuple):
    """Score that a model gives to a candidate.

    Attributes:
        score: From 0 to 1; the expected one of a model that explores.
        explanation: Inputs of the score, as the trace shows them.
        exploration: How the model explores; None if it does not.
    """

    score: float
    explanation: Mapping[str, Any]
    exploration: Exploration | None = None


CandidateScorer = Callable[["Candidate"], ModelScore]


@dataclass(frozen=True, slots=True)
class Scorer:
    """Compiled model.

    Attributes:
        learns: Whether the model takes evidence into account itself, so that rates from evidence must not replace it.
        begin: Computes once what all candidates of one decision share; returns the function that scores a candidate.
    """

    learns: bool
    begin: Callable[[Context, Random], CandidateScorer]

    def score(self, candidate: Candidate, context: Context, random: Random) -> ModelScore:
        """Score a single candidate."""
        return self.begin(context, random)(candidate)


_CANDIDATE_NAMESPACES: Final = ("offer", "creative", "channel")


def read_field(name: str, candidate: Candidate, context: Context) -> object:
    """Return the value of a model's input field. A bare name is an attribute of the customer, else of the offer."""
    attribute = _read_customer_attribute(name, context)
    return context.lookup(name, candidate) if attribute is None else attribute


def is_candidate_field(name: str, context: Context) -> bool:
    """Return whether a field can differ between the candidates of one decision."""
    namespace, dot, _ = name.partition(".")
    if dot:
        return namespace in _CANDIDATE_NAMESPACES
    return name != "segments" and _read_customer_attribute(name, context) is None


def _read_customer_attribute(name: str, context: Context) -> object:
    """Return the customer's attribute of that name, the same for all candidates; None for a dotted or unknown name."""
    if "." in name:
        return None
    return context.customer.attributes.get(name)
