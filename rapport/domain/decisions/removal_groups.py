"""What a decision does not show, and why, in short: for callers who do not ask for the trace, and for metrics."""

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
"""``request``: it names something that does not exist; ``no_offers``: the flow's inventory is empty; ``consent``: the
customer's; else the stage that took the last offer."""
_STAGES: Final = frozenset(get_args(EmptyReason))
MOST_GROUPS: Final = 20


class RemovalGroup(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Offers that were not shown for one reason.

    Attributes:
        stage: The type of the node that took them, or ``render``: their content lacked a value.
        by: The rule's or policy's id, or the node's.
        offers: How many.
        example: The id of one of them.
        is_fault: Whether a fault of the configuration took them, and no rule or policy that says so.
    """

    stage: str
    by: str
    by_name: str
    reason: str
    offers: int
    example: str
    is_fault: bool


def find_last_removals(decision: Decision) -> Mapping[str, Removal]:
    """What took each offer that is not shown, by offer: of several creatives, the removal of the one that came last."""
    shown = {item.offer_id for item in decision.items}
    return {
        one.offer_id: one
        for one in decision.trace.removals
        if one.offer_id not in shown and one.stage != "creative"  # another creative of the offer was chosen
    }


def group_removals(decision: Decision) -> Sequence[RemovalGroup]:
    """Offers that are not shown, by what took them: what took most first, and no more than :data:`MOST_GROUPS`."""
    groups: dict[tuple[str, str, str], list[Removal]] = {}
    for one in find_last_removals(decision).values():
        groups.setdefault((one.stage, one.by, one.reason), []).append(one)
    found = [
        RemovalGroup(
            stage=some[0].stage,
            by=some[0].by,
            by_name=some[0].by_name,
            reason=some[0].reason,
            offers=len(some),
            example=some[0].offer_id,
            is_fault=some[0].is_fault,
        )
        for some in groups.values()
    ]
    return sorted(found, key=lambda one: (-one.offers, one.stage, one.by, one.reason))[:MOST_GROUPS]


def find_empty_reason(decision: Decision) -> EmptyReason | None:
    """Why a decision shows nothing; None if it shows something."""
    if decision.items:
        return None
    if not decision.trace.stages:
        return "request"
    last = next((one for one in reversed(decision.trace.removals) if one.stage != "creative"), None)
    if last is None:
        return "no_offers"
    if last.by == "consent":
        return "consent"
    return last.stage if last.stage in _STAGES else "other"  # type: ignore[return-value]  # one of the literals


def list_fault_warnings(losses: Sequence[RemovalGroup]) -> Iterator[str]:
    """Say which offers the configuration took; a flow that cannot be called has said so already."""
    for one in losses:
        if one.is_fault and one.stage != "call_flow":
            others = f" and {one.offers - 1} more" if one.offers > 1 else ""
            yield f"offer {one.example}{others} cannot be shown: {one.stage}, {one.by}: {one.reason}"
