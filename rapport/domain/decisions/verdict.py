"""Verdict of a qualification rule or contact policy on a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Verdict:
    """Verdict of a rule or policy on a candidate.

    Attributes:
        reason: Human-readable reason; empty if the candidate passes.
        detail: Values that the verdict rests on.
        is_fault: Whether the candidate is blocked by a faulty configuration instead of a rule's condition.
    """

    is_blocked: bool
    reason: str = ""
    detail: Mapping[str, Any] | None = None
    is_fault: bool = False


PASSED: Final = Verdict(is_blocked=False)
