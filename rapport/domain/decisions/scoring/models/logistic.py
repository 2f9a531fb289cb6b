"""Logistic regression with configured weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rapport.domain.configs import Config, ConfigError
from rapport.domain.decisions.model import CandidateScorer, ModelScore, Scorer, read_field
from rapport.domain.decisions.scoring.models.scorecard import sigmoid
from rapport.domain.faults import Fault
from rapport.domain.numbers import to_finite

if TYPE_CHECKING:
    from random import Random

    from rapport.domain.decisions.candidates import Candidate, Context


class LogisticConfig(Config, frozen=True, kw_only=True):
    """Logistic regression: ``sigmoid(bias + sum of weight times value)``.

    Attributes:
        weights: Weight by numeric field; true counts as 1 and false as 0. A missing value contributes 0.
        categories: Weight by categorical field and value (one-hot encoding). Any other value contributes 0.
    """

    bias: float = 0.0
    weights: Mapping[str, float] = {}
    categories: Mapping[str, Mapping[str, float]] = {}


def compile_logistic(config: LogisticConfig) -> Scorer:
    """Compile a logistic regression.

    Raises:
        ConfigError: A field is both a number and a category, or there is none at all.
    """
    faults = [Fault(f"categories.{name}", "is in weights, too") for name in config.categories if name in config.weights]
    if not config.weights and not config.categories:
        faults.append(Fault("weights", "there must be at least one field, here or in categories"))
    if faults:
        raise ConfigError(*faults)

    def begin(context: Context, _random: Random) -> CandidateScorer:
        def score(candidate: Candidate) -> ModelScore:
            parts = [_explain_number(name, weight, candidate, context) for name, weight in config.weights.items()]
            parts += [_explain_category(name, of, candidate, context) for name, of in config.categories.items()]
            z = config.bias + sum(part["contribution"] for part in parts)
            parts.sort(key=lambda part: -abs(part["contribution"]))
            return ModelScore(sigmoid(z), {"z": z, "bias": config.bias, "explanations": parts})

        return score

    return Scorer(learns=False, begin=begin)


def _explain_number(name: str, weight: float, candidate: Candidate, context: Context) -> dict[str, Any]:
    value = read_field(name, candidate, context)
    number = to_finite(value) if isinstance(value, int | float) else None
    contribution = 0.0 if number is None else weight * number
    return {"field": name, "value": number, "weight": weight, "contribution": contribution}


def _explain_category(
    name: str, weights: Mapping[str, float], candidate: Candidate, context: Context
) -> dict[str, Any]:
    value = read_field(name, candidate, context)
    key = None if value is None else _format_category(value)
    weight = 0.0 if key is None else weights.get(key, 0.0)
    return {"field": name, "value": key, "weight": weight, "contribution": weight}


def _format_category(value: object) -> str:
    """Format a value as a key of the config's JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
