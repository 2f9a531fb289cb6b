"""Summary of a decision's removals, for callers who do not request the trace, and for metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

import msgspec

if TYPE_CHECKING:
    from rapport.domain.decisions.decision import Decision
    from rapport.domain.decisions.trace import Removal

EmptyReason: TypeAlias = Literal[
    "request",
    "no_offers",
    "inventory",
    "match_creatives",
    "qualify",
    "consent",
    "contact_policy",
    "filter",
    "call_flow",
    "score",
    "extension_point",
    "rank",
    "group",
    "render",
    "other",
]
"""Reason for an empty decision. ``request``: it names something that does not exist; ``no_offers``: the inventory is
empty; ``consent``: the customer's consent is missing; else the stage that removed the last offer."""
_STAGES: Final = frozenset(get_args(EmptyReason))
MAX_GROUPS: Final = 20


class RemovalGroup(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Group of offers that were removed for the same reason.

    Attributes:
        stage: Type of the node that removed them; ``render``: a placeholder in their content has no value.
        by: Id of the rule or policy, else of the node.
        offers: Number of offers.
        example: Id of one of them.
        is_fault: Whether a faulty configuration removed them instead of a rule's condition.
    """

    stage: str
    by: str
    by_name: str
    reason: str
    offers: int
    example: str
    is_fault: bool


def find_last_removals(decision: Decision) -> Mapping[str, Removal]:
    """Return the last removal of each offer that is not shown, by offer id."""
    shown = {item.offer_id for item in decision.items}
    return {
        removal.offer_id: removal
        for removal in decision.trace.removals
        if removal.offer_id not in shown and removal.stage != "creative"  # another creative of the offer was chosen
    }


def group_removals(decision: Decision) -> Sequence[RemovalGroup]:
    """Group the offers that are not shown by the reason of their last removal.

    Returns:
        The largest groups first, at most :data:`MAX_GROUPS`.
    """
    groups: dict[tuple[str, str, str], list[Removal]] = {}
    for removal in find_last_removals(decision).values():
        groups.setdefault((removal.stage, removal.by, removal.reason), []).append(removal)
    summaries = [
        RemovalGroup(
            stage=removals[0].stage,
            by=removals[0].by,
            by_name=removals[0].by_name,
            reason=removals[0].reason,
            offers=len(removals),
            example=removals[0].offer_id,
            is_fault=removals[0].is_fault,
        )
        for removals in groups.values()
    ]
    return sorted(summaries, key=lambda group: (-group.offers, group.stage, group.by, group.reason))[:MAX_GROUPS]


def find_empty_reason(decision: Decision) -> EmptyReason | None:
    """Return the reason why a decision shows nothing; None if it shows something."""
    if decision.items:
        return None
    if not decision.trace.stages:
        return "request"
    last = next((removal for removal in reversed(decision.trace.removals) if removal.stage != "creative"), None)
    if last is None:
        return "no_offers"
    if last.by == "consent":
        return "consent"
    return last.stage if last.stage in _STAGES else "other"  # type: ignore[return-value]  # one of the literals


def list_fault_warnings(groups: Sequence[RemovalGroup]) -> Iterator[str]:
    """Describe the groups that a faulty configuration removed, except for flows that cannot be called.

    Those are already among the trace's problems.
    """
    for group in groups:
        if group.is_fault and group.stage != "call_flow":
            others = f" and {group.offers - 1} more" if group.offers > 1 else ""
            yield f"offer {group.example}{others} cannot be shown: {group.stage}, {group.by}: {group.reason}"
