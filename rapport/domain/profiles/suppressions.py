"""Suppressions that follow from a customer's outcomes. They are computed, not stored, so that a replay changes none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from rapport.domain.periods import DAY_MS

if TYPE_CHECKING:
    from rapport.domain.catalogue.suppression import SuppressionRule, SuppressionScope

LIFTED: Final = "lifted by an operator"
EVERYTHING: Final = "all"
"""Scope id of a global suppression."""
_HOURS_OF_DAY: Final = 24


class Trigger(NamedTuple):
    """Event that may begin or end a suppression.

    Attributes:
        id: Event id.
        offer_id: Empty if the event names none.
    """

    id: str
    outcome: str
    offer_id: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppressionEndings:
    """Consent and operators' lifts that end a customer's suppressions early, epoch milliseconds.

    Attributes:
        granted_ms: Start of consent by purpose; only recorded consent that is in force.
        lifted_ms: Latest lift by an operator, by rule and scope id.
    """

    granted_ms: Mapping[str, int] = field(default_factory=dict)
    lifted_ms: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def ends(self, rule: SuppressionRule, scope_id: str) -> Iterator[tuple[int, str]]:
        """List when, and by what, suppressions of a rule and scope end."""
        for purpose in rule.ended_by_consent:
            if purpose in self.granted_ms:
                yield self.granted_ms[purpose], f"consent to {purpose}"
        if (rule.id, scope_id) in self.lifted_ms:
            yield self.lifted_ms[rule.id, scope_id], LIFTED


NO_ENDINGS: Final = SuppressionEndings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """Span of time in which a customer gets no offers of a scope.

    Attributes:
        id: Deterministic: the same in every computation.
        scope: global, offer or category.
        scope_id: Id of the offer or category; :data:`EVERYTHING` for global.
        trigger_count: Events that prolonged it, the first included.
        created_at_ms: Time of the first event, epoch milliseconds.
        expires_at_ms: End of the suppression, exclusive.
        ended_by: The outcome, consent or operator that ended it; empty if it ends by time.
    """

    id: str
    rule_id: str
    scope: SuppressionScope
    scope_id: str
    reason: str
    trigger_count: int
    created_at_ms: int
    expires_at_ms: int
    ended_by: str = ""

    def is_active(self, now_ms: int) -> bool:
        """Say whether the suppression holds at a time."""
        return now_ms < self.expires_at_ms


def compute_suppressions(
    rules: Iterable[SuppressionRule],
    triggers: Iterable[Trigger],
    category_of: Mapping[str, str | None],
    now_ms: int,
    endings: SuppressionEndings = NO_ENDINGS,
) -> Sequence[Suppression]:
    """Compute the suppressions of one customer.

    An outcome while a suppression holds prolongs it: it then lasts from that outcome on. One after its end begins
    another. An outcome that names no offer suppresses none, and one whose offer has no category suppresses no category.
    An event, consent or lift ends a suppression only if it is later than the last outcome that prolonged it.

    Args:
        rules: Rules in force.
        triggers: Outcomes of the customer in any order, those that end a suppression included.
        category_of: Category by offer, as the catalogue has it now.
        now_ms: Epoch milliseconds; active suppressions are listed first.
        endings: Endings of the customer besides time and outcomes.

    Returns:
        Active suppressions first, then those that have ended; the latest first in both.
    """
    ordered = sorted(triggers, key=lambda trigger: (trigger.at_ms, trigger.id))
    suppressions = [suppression for rule in rules for suppression in _apply_rule(rule, ordered, category_of, endings)]
    suppressions.sort(key=attrgetter("created_at_ms", "id"), reverse=True)
    return sorted(suppressions, key=lambda suppression: not suppression.is_active(now_ms))


def _apply_rule(
    rule: SuppressionRule,
    ordered: Iterable[Trigger],
    category_of: Mapping[str, str | None],
    endings: SuppressionEndings,
) -> Iterator[Suppression]:
    """Compute the suppressions of one rule from triggers in order of time."""
    by_scope: dict[str, list[Trigger]] = {}
    ends: dict[str, list[tuple[int, str]]] = {}
    for trigger in ordered:
        scope_id = _find_scope_id(rule, trigger, category_of)
        if scope_id and trigger.outcome in rule.outcomes:
            by_scope.setdefault(scope_id, []).append(trigger)
        elif scope_id and trigger.outcome in rule.ended_by:
            ends.setdefault(scope_id, []).append((trigger.at_ms, trigger.outcome))
    for scope_id, of_scope in by_scope.items():
        of_ends = sorted([*ends.get(scope_id, ()), *endings.ends(rule, scope_id)])
        begun = [of_scope[0]]
        for trigger in of_scope[1:]:
            if trigger.at_ms < _find_end(rule, begun[-1], of_ends)[0]:
                begun.append(trigger)
            else:
                yield _make_suppression(rule, scope_id, begun, of_ends)
                begun = [trigger]
        yield _make_suppression(rule, scope_id, begun, of_ends)


def _find_end(rule: SuppressionRule, last: Trigger, ends: Sequence[tuple[int, str]]) -> tuple[int, str]:
    """Return when a suppression ends after its last trigger, and by what if not by time."""
    expires_ms = last.at_ms + round(rule.days * DAY_MS)
    return next((end for end in ends if last.at_ms < end[0] < expires_ms), (expires_ms, ""))


def _find_scope_id(rule: SuppressionRule, trigger: Trigger, category_of: Mapping[str, str | None]) -> str | None:
    if rule.scope == "global":
        return EVERYTHING
    return trigger.offer_id if rule.scope == "offer" else category_of.get(trigger.offer_id)


def _make_suppression(
    rule: SuppressionRule, scope_id: str, triggers: Sequence[Trigger], ends: Sequence[tuple[int, str]]
) -> Suppression:
    ends_at_ms, ended_by = _find_end(rule, triggers[-1], ends)
    identity = f"{rule.id}\n{rule.scope}\n{scope_id}\n{triggers[0].id}"
    return Suppression(
        id=f"sup_{hashlib.sha256(identity.encode()).hexdigest()[:16]}",
        rule_id=rule.id,
        scope=rule.scope,
        scope_id=scope_id,
        reason=f"Cooldown {rule.days * _HOURS_OF_DAY:g}h after {triggers[-1].outcome}",
        trigger_count=len(triggers),
        created_at_ms=triggers[0].at_ms,
        expires_at_ms=ends_at_ms,
        ended_by=ended_by,
    )
