"""Summary of a decision's removals, for callers who do not request the trace, and for metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

import msgspec

from rapport.domain.decisions.trace_blocks import RemovalBlock, list_removal_blocks

if TYPE_CHECKING:
    from rapport.domain.decisions.decision import Decision

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


def find_last_removals(decision: Decision) -> Mapping[str, RemovalBlock]:
    """Return the last removal of each offer that is not shown, by offer id."""
    last: dict[str, RemovalBlock] = {}
    for block in list_removal_blocks(decision.trace.removals):
        if block.stage != "creative":  # there another creative of the offer was chosen
            last.update(dict.fromkeys([offer_id for offer_id, _ in block.candidates], block))
    for item in decision.items:
        last.pop(item.offer_id, None)
    return last


def group_removals(decision: Decision) -> Sequence[RemovalGroup]:
    """Group the offers that are not shown by the reason of their last removal.

    Returns:
        The largest groups first, at most :data:`MAX_GROUPS`.
    """
    last = find_last_removals(decision)
    groups: dict[tuple[str, str, str], tuple[RemovalBlock, list[str]]] = {}
    for block, offer_ids in groupby(last, key=last.__getitem__):
        groups.setdefault((block.stage, block.by, block.reason), (block, []))[1].extend(offer_ids)
    summaries = [
        RemovalGroup(
            stage=first.stage,
            by=first.by,
            by_name=first.by_name,
            reason=first.reason,
            offers=len(offer_ids),
            example=offer_ids[0],
            is_fault=first.is_fault,
        )
        for first, offer_ids in groups.values()
    ]
    return sorted(summaries, key=lambda group: (-group.offers, group.stage, group.by, group.reason))[:MAX_GROUPS]


def find_empty_reason(decision: Decision) -> EmptyReason | None:
    """Return the reason why a decision shows nothing; None if it shows something."""
    if decision.items:
        return None
    if not decision.trace.stages:
        return "request"
    blocks = [block for block in list_removal_blocks(decision.trace.removals) if block.stage != "creative"]
    last = blocks[-1] if blocks else None
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
