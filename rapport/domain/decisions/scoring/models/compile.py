"""Compilation of the catalogue's models into scorers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from rapport.domain.configs import Config, read_config
from rapport.domain.decisions.scoring.models.bandit import (
    EpsilonConfig,
    ThompsonConfig,
    compile_epsilon,
    compile_thompson,
)
from rapport.domain.decisions.scoring.models.logistic import LogisticConfig, compile_logistic
from rapport.domain.decisions.scoring.models.scorecard import ScorecardConfig, compile_scorecard

if TYPE_CHECKING:
    from rapport.domain.catalogue.strategy import Model
    from rapport.domain.decisions.model import Scorer


def compile_model(model: Model) -> Scorer:
    """Compile a model.

    Raises:
        ConfigError: The config does not fit the model's type; the error lists every fault.
    """
    kind, make = _TYPES[model.model_type]
    return make(read_config(model.config, kind))


_TYPES: Final[Mapping[str, tuple[type[Config], Callable[[Any], Scorer]]]] = {
    "scorecard": (ScorecardConfig, compile_scorecard),
    "logistic_regression": (LogisticConfig, compile_logistic),
    "thompson_bandit": (ThompsonConfig, compile_thompson),
    "epsilon_greedy": (EpsilonConfig, compile_epsilon),
}
