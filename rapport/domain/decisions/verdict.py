"""What rules and policies say about a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a policy or a rule says about a candidate.

    Attributes:
        reason: For a person; empty where it lets the candidate pass.
        detail: The numbers behind it.
        is_fault: Whether it blocks because something is configured so that it cannot work, not because it says so.
    """

    is_blocked: bool
    reason: str = ""
    detail: Mapping[str, Any] | None = None
    is_fault: bool = False


PASSED: Final = Verdict(is_blocked=False)
