"""Index of the rules and policies that apply to a candidate: built once per catalogue, not once per request."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from rapport.domain.catalogue.values import ScopeKind
from rapport.domain.decisions.eligibility.policies import Policy
from rapport.domain.decisions.eligibility.rules import Rule
from rapport.domain.decisions.eligibility.scopes import describe_scope, find_scoped_id, select_subjects
from rapport.domain.decisions.facts import EVERYTHING, Selection
from rapport.domain.decisions.verdict import RuleVerdict

if TYPE_CHECKING:
    from rapport.domain.catalogue.values import Scope
    from rapport.domain.decisions.candidates import Candidate, Context

MAX_SCOPES: Final = 1_000_000
"""Upper bound of the number of scopes of one rule or policy."""
MAX_RULE_SETS: Final = 200_000
"""Maximum number of cached rule sets of candidates: requests can name any number of channels and placements."""


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

    def evaluate(self, candidate: Candidate, context: Context, memo: VerdictMemo) -> RuleVerdict | None:
        """Return the blocking verdict on a candidate, None if it passes; put a shared one into the memo."""
        blocking: RuleVerdict | None = None
        if self.segments is None or self.covers_customer(context):
            verdict = self.rule.check(candidate, context, self.selection, self.scope)
            blocking = self.rule.block(verdict) if verdict.is_blocked else None
        if self.rule.is_shared:
            memo.verdicts[self] = blocking
        return blocking

    def covers_customer(self, context: Context) -> bool:
        """Return whether the rule applies to the customer."""
        return self.segments is None or not self.segments.isdisjoint(context.segments)


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


class SharedVerdicts(NamedTuple):
    """Blocking verdicts of the shared rules of a rule set, and what is left to evaluate for each candidate.

    Attributes:
        verdicts: The verdicts, in the order of the rules.
        positions: Position of the rule of each verdict.
        settled_at: Position of the first that settles whether a candidate is removed.
        own: Rules to evaluate for each candidate.
    """

    verdicts: Sequence[RuleVerdict]
    positions: Sequence[int]
    settled_at: float
    own: Sequence[PositionedRule]

    def find_settling(self) -> RuleVerdict:
        """Return the verdict that settles whether a candidate is removed."""
        return self.verdicts[self.positions.index(int(self.settled_at))]


@dataclass(frozen=True, slots=True, eq=False)
class RuleSet:
    """Scoped rules that apply to a candidate. Candidates with the same rules share one object.

    Attributes:
        shared: Rules that give all candidates the same verdict.
        own: Rules whose verdict depends on the candidate.
    """

    shared: Sequence[PositionedRule]
    own: Sequence[PositionedRule]


@dataclass(frozen=True, slots=True)
class _RuleColumns:
    """Rules by position of the candidate, for requests for the same channel and placement; filled as they are needed.

    Attributes:
        rule_sets: Rules that apply whatever the customer's history.
        own_with_history: Rules to evaluate for the candidate itself if the customer's history includes its offer.
    """

    rule_sets: list[RuleSet | None]
    own_with_history: list[Sequence[PositionedRule]]


@dataclass(slots=True)
class VerdictMemo:
    """Verdicts of one run that hold for many candidates.

    Attributes:
        verdicts: Blocking verdicts of rules that give all candidates in their scope the same one; None for a pass.
        shared: Verdicts of the shared rules by rule set.
    """

    verdicts: dict[ScopedRule, RuleVerdict | None] = field(default_factory=dict)
    shared: dict[RuleSet, SharedVerdicts] = field(default_factory=dict)


def _evaluate_shared(rule_set: RuleSet, candidate: Candidate, context: Context, memo: VerdictMemo) -> SharedVerdicts:
    verdicts: list[RuleVerdict] = []
    positions: list[int] = []
    settled_at = math.inf
    known = memo.verdicts
    for position, rule in rule_set.shared:
        verdict = known[rule] if rule in known else rule.evaluate(candidate, context, memo)
        if verdict is not None:
            verdicts.append(verdict)
            positions.append(position)
            if position < settled_at and verdict.effect != "lowers_fit":
                settled_at = position
    own = [rule for rule in rule_set.own if not rule[1].rule.is_irrelevant(context)]
    shared = memo.shared[rule_set] = SharedVerdicts(verdicts, positions, settled_at, own)
    return shared


@dataclass(slots=True)
class RuleIndex:
    """Index from candidates to the rules and policies that apply to them, filled as candidates are looked up.

    Most customers were contacted about few offers; for all other offers the rules that read only such contacts are
    skipped. The remaining rules are the same for many candidates, and the shared ones are evaluated once for all.

    Attributes:
        rules: Rules or policies, highest priority first.
        size: Number of possible candidates of the catalogue.
    """

    rules: Sequence[Policy | Rule]
    size: int = 0
    _columns: dict[tuple[str | None, str | None], _RuleColumns] = field(default_factory=dict)
    _rule_sets: dict[tuple[PositionedRule, ...], RuleSet] = field(default_factory=dict)
    _scoped_rules: dict[tuple[str, Selection, frozenset[str] | None, str], ScopedRule] = field(default_factory=dict)

    def evaluate(self, candidate: Candidate, context: Context, *, stop_at_first: bool) -> Sequence[RuleVerdict]:
        """Return the blocking verdicts on a candidate, in the order of the rules.

        Args:
            candidate: The candidate.
            context: Request and facts.
            stop_at_first: Whether verdicts behind the first that settles the matter may be missing, as decisions do not
                read them.
        """
        if not self.rules:
            return ()
        memo = context.get_memo(VerdictMemo)
        rule_set, own_with_history = self._look_up(candidate, context)
        shared = memo.shared.get(rule_set) or _evaluate_shared(rule_set, candidate, context, memo)
        own_rules = own_with_history if candidate.offer.id in context.history.known_offers else shared.own
        if not own_rules:
            return shared.verdicts
        own: list[tuple[int, RuleVerdict]] = []
        for position, rule in own_rules:
            if stop_at_first and position > shared.settled_at:
                break
            verdict = memo.verdicts[rule] if rule in memo.verdicts else rule.evaluate(candidate, context, memo)
            if verdict is not None:
                own.append((position, verdict))
                if stop_at_first and verdict.effect != "lowers_fit":
                    break
        if not own:
            return shared.verdicts
        if shared.verdicts:
            own += zip(shared.positions, shared.verdicts, strict=True)
            own.sort(key=itemgetter(0))
        return [verdict for _, verdict in own]

    def find_covering(self, candidate: Candidate, context: Context) -> frozenset[str]:
        """Return the ids of the rules with a scope that covers a candidate, for explanations."""
        return frozenset(
            rule.entity.id
            for rule in self.rules
            if any(scoped.covers_customer(context) for scoped in self._apply_scopes(rule, candidate, context))
        )

    @property
    def reads_history(self) -> bool:
        """Whether there are rules that read only contacts about a single offer, see :meth:`find_rows`."""
        return any(isinstance(rule, Policy) and rule.is_history_only for rule in self.rules)

    def find_rows(
        self, candidates: Sequence[Candidate], positions: Sequence[int | None], context: Context
    ) -> Sequence[int]:
        """Return the indices of the candidates on which there can be a verdict.

        On candidates whose offers the customer's history includes, there can be further ones.
        """
        if not self.rules:
            return ()
        rule_sets = self._find_rule_sets(candidates, positions, context)
        pending = {
            rule_set
            for rule_set, shared in self._evaluate_sets(candidates, rule_sets, context).items()
            if shared.verdicts or shared.own
        }
        return [row for row, rule_set in enumerate(rule_sets) if rule_set in pending] if pending else ()

    def find_shared_removals(
        self, candidates: Sequence[Candidate], positions: Sequence[int | None], context: Context
    ) -> Sequence[RuleVerdict | None]:
        """Return for each candidate the verdict that removes it, if that is the same for all candidates with its rules.

        On candidates whose offers the customer's history includes, another verdict can come first.
        """
        if not self.rules:
            return [None] * len(candidates)
        rule_sets = self._find_rule_sets(candidates, positions, context)
        removals = {
            rule_set: None if shared.own or shared.settled_at == math.inf else shared.find_settling()
            for rule_set, shared in self._evaluate_sets(candidates, rule_sets, context).items()
        }
        return [removals[rule_set] for rule_set in rule_sets]

    def _find_rule_sets(
        self, candidates: Sequence[Candidate], positions: Sequence[int | None], context: Context
    ) -> Sequence[RuleSet]:
        column = self._get_columns(context).rule_sets
        rule_sets = [column[position] for position in positions]  # type: ignore[index]  # none is None
        if None in rule_sets:
            return [self._look_up(candidate, context)[0] for candidate in candidates]
        return rule_sets  # type: ignore[return-value]  # as above

    def _evaluate_sets(
        self, candidates: Sequence[Candidate], rule_sets: Sequence[RuleSet], context: Context
    ) -> Mapping[RuleSet, SharedVerdicts]:
        """Evaluate the shared rules of some rule sets, each for the first of its candidates."""
        memo = context.get_memo(VerdictMemo)
        return {
            rule_set: memo.shared.get(rule_set)
            or _evaluate_shared(rule_set, candidates[rule_sets.index(rule_set)], context, memo)
            for rule_set in set(rule_sets)
        }

    def _get_columns(self, context: Context) -> _RuleColumns:
        key = context.request.channel_id, context.request.placement_id
        columns = self._columns.get(key)
        if columns is None:
            if len(self._columns) * self.size >= MAX_RULE_SETS:
                self._columns.clear()
                self._rule_sets.clear()
            columns = self._columns[key] = _RuleColumns([None] * self.size, [()] * self.size)
        return columns

    def _look_up(self, candidate: Candidate, context: Context) -> tuple[RuleSet, Sequence[PositionedRule]]:
        """Return a candidate's rule set, and its own rules for a customer whose history includes the offer."""
        position = candidate.position
        if position is None:
            return self._make_rule_set(candidate, context)
        columns = self._get_columns(context)
        rule_set = columns.rule_sets[position]
        if rule_set is None:
            rule_set, columns.own_with_history[position] = self._make_rule_set(candidate, context)
            columns.rule_sets[position] = rule_set  # last: other threads read it first
        return rule_set, columns.own_with_history[position]

    def _make_rule_set(self, candidate: Candidate, context: Context) -> tuple[RuleSet, Sequence[PositionedRule]]:
        every = tuple(
            (number * MAX_SCOPES + index, settled)
            for number, rule in enumerate(self.rules)
            if not isinstance(rule, Policy) or rule.covers_offer(candidate.offer)
            for index, scoped_rule in enumerate(self._apply_scopes(rule, candidate, context))
            if (settled := self._settle(scoped_rule, candidate, context)) is not None
        )
        always = tuple(rule for rule in every if not _is_history_of_one_offer(rule[1]))
        if always not in self._rule_sets:
            shared = tuple(rule for rule in always if rule[1].rule.is_shared)
            self._rule_sets[always] = RuleSet(shared, tuple(rule for rule in always if not rule[1].rule.is_shared))
        rule_set = self._rule_sets[always]
        return rule_set, tuple(rule for rule in every if rule not in rule_set.shared)

    def _settle(self, scoped_rule: ScopedRule, candidate: Candidate, context: Context) -> ScopedRule | None:
        """Return the rule; if its verdict on a candidate never changes, one that gives it, or None if it passes.

        The entities of a candidate without a position may be a plug-in's: their verdicts are not worth keeping.
        """
        rule, selection, segments = scoped_rule.rule, scoped_rule.selection, scoped_rule.segments
        if not rule.is_static or candidate.position is None:
            return scoped_rule
        verdict = rule.check(candidate, context, selection, scoped_rule.scope)
        if not verdict.is_blocked:
            return None
        key = (rule.entity.id, selection, segments, verdict.reason)
        if key not in self._scoped_rules:
            constant = replace(rule, check=lambda *_: verdict, is_shared=True)
            self._scoped_rules[key] = ScopedRule(constant, segments, selection, scoped_rule.scope)
        return self._scoped_rules[key]

    def _apply_scopes(self, rule: Policy | Rule, candidate: Candidate, context: Context) -> list[ScopedRule]:
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
