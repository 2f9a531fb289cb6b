"""Fault injection for tests: kills the worker at a chosen step. Off unless ``RAPPORT_WORKER_FAIL_AT`` names one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """Steps of a batch; a crash after any of them must leave the totals exact."""

    FETCHED = "fetched"
    DECODED = "decoded"
    CLAIMED = "claimed"
    READ = "read"
    FOLDED = "folded"
    DEAD_LETTERS = "dead_letters"
    INTERACTIONS = "interactions"
    SUMMARIES = "summaries"
    STATES = "states"
    PROGRESS = "progress"
    ACKNOWLEDGED = "acknowledged"
    SET_ASIDE = "set_aside"
    """A message that causes an error has been isolated, and its dead letter is about to be written."""


def make_kill_hook(fail_at: str) -> Callable[[Step], None]:
    """Return the hook that is called after each step of a batch.

    Args:
        fail_at: Empty for a hook that does nothing, else ``step`` or ``step:n``: the process kills itself with SIGKILL
            when it reaches the step for the n-th time.

    Raises:
        ValueError: The step is not one of :class:`Step`.
    """
    if not fail_at:
        return lambda _step: None
    name, _, nth = fail_at.partition(":")
    step, remaining = Step(name), int(nth or 1)

    def on_step(reached: Step) -> None:
        nonlocal remaining
        if reached is step:
            remaining -= 1
            if remaining == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return on_step
