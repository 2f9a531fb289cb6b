"""When a model that fails is left alone for a while, so that decisions do not wait for it and are not spoiled by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FAILURES_TO_OPEN: Final = 5
OPEN_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class CircuitState:
    """How a model has been doing.

    Attributes:
        failures: In a row.
        opened_at_ms: When it was last decided to leave it alone; None if that never was, or it works again.
    """

    failures: int = 0
    opened_at_ms: int | None = None

    def is_open(self, now_ms: int) -> bool:
        """Whether the model is left alone. It is for 60 s; then it may be tried again."""
        return self.opened_at_ms is not None and now_ms < self.opened_at_ms + OPEN_MS

    def after_failure(self, now_ms: int) -> CircuitState:
        """The state after it failed: the fifth failure in a row opens the circuit, and so does a failed new trial.

        A decision that was under way when the circuit opened does not keep it open for longer.
        """
        if self.is_open(now_ms):
            return self
        failures = self.failures + 1
        return CircuitState(failures, now_ms if failures >= FAILURES_TO_OPEN else None)

    def after_success(self) -> CircuitState:
        """The state after it gave a score."""
        return CircuitState()
