"""Circuit breakers of models. Each process has its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from rapport.domain.decisions.scoring.circuit_breaker import CircuitState

if TYPE_CHECKING:
    from rapport.domain.decisions.decision import Decision

log = structlog.get_logger(__name__)


class CircuitBreakers:
    """Circuit breakers of all tenants' models."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, str], CircuitState] = {}

    def find_open(self, tenant_id: str, now_ms: int) -> frozenset[str]:
        """Return the keys of models with an open circuit, which decisions do not call."""
        if not self._states:
            return frozenset()
        return frozenset(
            key for (owner, key), state in self._states.items() if owner == tenant_id and state.is_open(now_ms)
        )

    def note(self, tenant_id: str, decision: Decision, now_ms: int) -> None:
        """Note the failed models of a decision, and close the circuits of those that gave scores again."""
        failed = frozenset(decision.failed_models)
        for key in failed:
            before = self._states.get((tenant_id, key), CircuitState())
            after = self._states[tenant_id, key] = before.after_failure(now_ms)
            if after.is_open(now_ms) and not before.is_open(now_ms):
                log.warning("a model fails and is left alone for a while", tenant_id=tenant_id, model=key)
        if self._states:
            for key in _models_that_scored(decision) - failed:
                self._states.pop((tenant_id, key), None)


def _models_that_scored(decision: Decision) -> frozenset[str]:
    named = (score.explanation.get("propensity", score.explanation) for score in decision.trace.scores)
    return frozenset(str(one["model"]) for one in named if isinstance(one, dict) and "model" in one)
