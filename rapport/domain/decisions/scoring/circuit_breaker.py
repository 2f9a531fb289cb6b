"""Circuit breaker of models: a model that keeps failing is not called for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FAILURES_TO_OPEN: Final = 5
OPEN_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class CircuitState:
    """State of a model's circuit.

    Attributes:
        failures: Number of consecutive failures.
        opened_at_ms: Time at which the circuit was last opened, epoch milliseconds; None if it is closed.
    """

    failures: int = 0
    opened_at_ms: int | None = None

    def is_open(self, now_ms: int) -> bool:
        """Return whether the model must not be called: for 60 s after the circuit was opened."""
        return self.opened_at_ms is not None and now_ms < self.opened_at_ms + OPEN_MS

    def after_failure(self, now_ms: int) -> CircuitState:
        """Return the state after a failure: the fifth in a row opens the circuit, and so does a failed retry.

        A failure while the circuit is open, in a decision that started before, does not keep it open for longer.
        """
        if self.is_open(now_ms):
            return self
        failures = self.failures + 1
        return CircuitState(failures, now_ms if failures >= FAILURES_TO_OPEN else None)

    def after_success(self) -> CircuitState:
        """Return the state after a success: closed."""
        return CircuitState()
