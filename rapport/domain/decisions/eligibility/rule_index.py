"""Index of the rules and policies that apply to a candidate: built once per catalogue, not once per request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from rapport.domain.catalogue.values import ScopeKind
from rapport.domain.decisions.eligibility.policies import Policy
from rapport.domain.decisions.eligibility.rules import Rule
from rapport.domain.decisions.eligibility.scopes import describe_scope, find_scoped_id, select_subjects
from rapport.domain.decisions.facts import EVERYTHING, Selection
from rapport.domain.decisions.verdict import PASSED, Verdict

if TYPE_CHECKING:
    from rapport.domain.catalogue.values import Scope
    from rapport.domain.decisions.candidates import Candidate, Context

ScopeKey: TypeAlias = str | tuple[str, str, str | None, str | None]
"""Everything that determines which scopes cover a candidate: the creative's id alone, or the ids of offer and creative,
and the request's channel and placement where the creative leaves them open."""
MAX_SCOPES: Final = 1_000_000
"""Upper bound of the number of scopes of one rule or policy."""
MAX_SCOPE_KEYS: Final = 200_000
"""Maximum number of cached keys: requests can name any number of channels and placements."""


@dataclass(frozen=True, slots=True, eq=False)
class ScopedRule:
    """Rule or policy under one of its scopes. Candidates on which it gives the same verdict share one object.

    Attributes:
        segments: Segments of which the customer must be in at least one; None applies to all customers.
        scope: Description of the scope.
    """

    rule: Policy | Rule
    segments: frozenset[str] | None
    selection: Selection
    scope: str

    def evaluate(self, candidate: Candidate, context: Context, memo: VerdictMemo) -> Verdict:
        """Return the verdict on a candidate, a pass if the rule does not apply; shared verdicts are memoized."""
        memoized = memo.verdicts.get(self)
        if memoized is not None:
            return memoized
        if self.segments is not None and self.segments.isdisjoint(context.segments):
            verdict = PASSED
        else:
            verdict = self.rule.check(candidate, context, self.selection, self.scope)
        if self.rule.is_shared:
            memo.verdicts[self] = verdict
        return verdict


def _is_history_of_one_offer(scoped_rule: ScopedRule) -> bool:
    """Return whether the rule reads only contacts about a single offer, so that it passes customers without any."""
    selection, rule = scoped_rule.selection, scoped_rule.rule
    return (
        isinstance(rule, Policy)
        and rule.is_history_only
        and selection.offers is not None
        and len(selection.offers) == 1
    )


PositionedRule: TypeAlias = tuple[int, ScopedRule]
"""Scoped rule with its position in the order of all rules and their scopes."""


class BlockingVerdict(NamedTuple):
    """Blocking verdict with the rule that gave it and the rule's position."""

    position: int
    scoped_rule: ScopedRule
    verdict: Verdict


@dataclass(frozen=True, slots=True, eq=False)
class RuleSet:
    """Scoped rules that apply to a candidate. Candidates with the same rules share one object.

    Attributes:
        shared: Rules that give all candidates the same verdict.
        own: Rules whose verdict depends on the candidate.
    """

    shared: Sequence[PositionedRule]
    own: Sequence[PositionedRule]


@dataclass(slots=True)
class VerdictMemo:
    """Verdicts of one run that hold for many candidates.

    Attributes:
        verdicts: Verdicts of rules that give all candidates in their scope the same one.
        blocking: By rule set, the blocking verdicts of its shared rules, and the rules to evaluate for each candidate.
    """

    verdicts: dict[ScopedRule, Verdict] = field(default_factory=dict)
    blocking: dict[RuleSet, tuple[Sequence[BlockingVerdict], Sequence[PositionedRule]]] = field(default_factory=dict)


def _find_blocking(
    rules: Iterable[PositionedRule], candidate: Candidate, context: Context, memo: VerdictMemo
) -> Sequence[BlockingVerdict]:
    return [
        BlockingVerdict(position, scoped_rule, verdict)
        for position, scoped_rule in rules
        if (verdict := scoped_rule.evaluate(candidate, context, memo)).is_blocked
    ]


@dataclass(slots=True)
class RuleIndex:
    """Index from candidates to the rules and policies that apply to them, filled as candidates are looked up.

    Most customers were contacted about few offers; for all other offers the rules that read only such contacts are
    skipped. The remaining rules are the same for many candidates, and the shared ones are evaluated once for all.

    Attributes:
        rules: Rules or policies, highest priority first.
    """

    rules: Sequence[Policy | Rule]
    _by_scope_key: dict[ScopeKey, tuple[RuleSet, Sequence[PositionedRule]]] = field(default_factory=dict)
    _rule_sets: dict[tuple[PositionedRule, ...], RuleSet] = field(default_factory=dict)
    _scoped_rules: dict[tuple[str, Selection, frozenset[str] | None, str], ScopedRule] = field(default_factory=dict)

    def find_blocking(self, candidate: Candidate, context: Context) -> Sequence[BlockingVerdict]:
        """Return all blocking verdicts on a candidate, in the order of the rules."""
        memo = context.get_memo(VerdictMemo)
        shared, own_rules = self._evaluate_shared(candidate, context, memo)
        own = _find_blocking(own_rules, candidate, context, memo) if own_rules else ()
        return sorted((*shared, *own), key=attrgetter("position")) if own else shared

    def find_first_blocking(self, candidate: Candidate, context: Context) -> BlockingVerdict | None:
        """Return the first blocking verdict on a candidate; the candidate's own rules behind it are not evaluated."""
        memo = context.get_memo(VerdictMemo)
        shared, own_rules = self._evaluate_shared(candidate, context, memo)
        first = shared[0] if shared else None
        for position, scoped_rule in own_rules:
            if first is not None and position > first.position:
                break
            verdict = scoped_rule.evaluate(candidate, context, memo)
            if verdict.is_blocked:
                return BlockingVerdict(position, scoped_rule, verdict)
        return first

    def _evaluate_shared(
        self, candidate: Candidate, context: Context, memo: VerdictMemo
    ) -> tuple[Sequence[BlockingVerdict], Sequence[PositionedRule]]:
        """Return the blocking verdicts of the shared rules, and the rules to evaluate for this candidate alone."""
        if not self.rules:
            return (), ()
        rule_set, own_with_history = self._look_up(candidate, context)
        memoized = memo.blocking.get(rule_set)
        if memoized is None:
            own = tuple(rule for rule in rule_set.own if not rule[1].rule.is_irrelevant(context))
            memoized = memo.blocking[rule_set] = _find_blocking(rule_set.shared, candidate, context, memo), own
        return (memoized[0], own_with_history) if candidate.offer.id in context.history.known_offers else memoized

    def _look_up(self, candidate: Candidate, context: Context) -> tuple[RuleSet, Sequence[PositionedRule]]:
        """Return a candidate's rule set, and its own rules for a customer whose history includes the offer."""
        creative, request = candidate.creative, context.request
        key: ScopeKey
        if creative is None:
            key = candidate.offer.id, "", request.channel_id, request.placement_id
        elif creative.placement_id or request.placement_id is None:
            key = creative.id
        else:
            key = candidate.offer.id, creative.id, None, request.placement_id
        cached = self._by_scope_key.get(key)
        if cached is None:
            if len(self._by_scope_key) >= MAX_SCOPE_KEYS:
                self._by_scope_key.clear()
                self._rule_sets.clear()
            cached = self._by_scope_key[key] = self._make_rule_set(
                (number * MAX_SCOPES + index, scoped_rule)
                for number, rule in enumerate(self.rules)
                for index, scoped_rule in enumerate(self._apply_scopes(rule, candidate, context))
            )
        return cached

    def _make_rule_set(self, rules: Iterable[PositionedRule]) -> tuple[RuleSet, Sequence[PositionedRule]]:
        every = tuple(rules)
        always = tuple(rule for rule in every if not _is_history_of_one_offer(rule[1]))
        if always not in self._rule_sets:
            shared = tuple(rule for rule in always if rule[1].rule.is_shared)
            self._rule_sets[always] = RuleSet(shared, tuple(rule for rule in always if not rule[1].rule.is_shared))
        rule_set = self._rule_sets[always]
        return rule_set, tuple(rule for rule in every if rule not in rule_set.shared)

    def _apply_scopes(self, rule: Policy | Rule, candidate: Candidate, context: Context) -> list[ScopedRule]:
        if isinstance(rule, Policy) and not rule.covers_offer(candidate.offer):
            return []
        scoped_rules = [
            scoped_rule
            for scope in rule.scopes
            if (scoped_rule := self._apply_scope(rule, scope, candidate, context)) is not None
        ]
        if len(scoped_rules) < 2 or (isinstance(rule, Policy) and rule.is_history_only):
            return scoped_rules
        # All other rules give the same verdict under each of their scopes, which must be reported only once.
        unconditional = [scoped_rule for scoped_rule in scoped_rules if scoped_rule.segments is None]
        segments = frozenset(name for scoped_rule in scoped_rules for name in scoped_rule.segments or ())
        return [unconditional[0] if unconditional else self._intern(rule, EVERYTHING, segments, "")]

    def _apply_scope(
        self, rule: Policy | Rule, scope: Scope, candidate: Candidate, context: Context
    ) -> ScopedRule | None:
        """Return the rule under a scope; None if the scope does not cover the candidate."""
        if scope.scope is ScopeKind.SEGMENT:
            return self._intern(rule, EVERYTHING, frozenset((scope.scope_id or "",)), describe_scope(scope))
        selection = select_subjects(scope, find_scoped_id(scope.scope, candidate, context), rule.members)
        if selection is None:
            return None
        if isinstance(rule, Policy) and rule.is_history_only:
            return self._intern(rule, selection, None, describe_scope(scope))
        return self._intern(rule, EVERYTHING, None, "")  # the verdict does not depend on which scope it is

    def _intern(
        self, rule: Policy | Rule, selection: Selection, segments: frozenset[str] | None, scope: str
    ) -> ScopedRule:
        key = (rule.entity.id, selection, segments, scope)
        if key not in self._scoped_rules:
            self._scoped_rules[key] = ScopedRule(rule, segments, selection, scope)
        return self._scoped_rules[key]
