"""Verdicts of qualification rules, contact policies and flow nodes on a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias


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

Effect: TypeAlias = Literal["removes", "lowers_fit", "exempts", "none"]
"""Effect of a blocking verdict. exempts: the candidate is exempt from the policies that follow; none: the verdict is
that of a policy from which the candidate is exempt."""


class RuleVerdict(NamedTuple):
    """Blocking verdict on a candidate, with the rule, policy or node that gave it.

    Attributes:
        by: Id of the rule or policy, else of the node.
        name: Name of the rule or policy; empty for a node.
        kind: Type of the rule or policy, such as ``frequency_cap``; empty for a node.
        exemption: Reason why the verdict has no effect.
        multiplier: Factor of the fit, if the verdict lowers it.
        spares_mandatory: Whether mandatory offers are exempt from the rule.
    """

    by: str
    name: str
    verdict: Verdict
    kind: str = ""
    effect: Effect = "removes"
    exemption: str = ""
    multiplier: float = 1.0
    spares_mandatory: bool = False
