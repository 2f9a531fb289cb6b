"""Which rules and policies apply to which candidate: found out once per catalogue, not once per request."""

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
"""What decides which scopes cover a candidate: its creative alone, or offer, creative, and the request's channel and
placement where it leaves them open."""
MAX_SCOPES: Final = 1_000_000
"""More than any judge has."""
MAX_SCOPE_KEYS: Final = 200_000
"""Places; requests could name any number of them."""


@dataclass(frozen=True, slots=True, eq=False)
class ScopedRule:
    """A policy or a rule under one of its scopes. There is one object for all candidates that it judges alike.

    Attributes:
        segments: It applies to customers who are in one of these; None: to all.
        scope: In words.
    """

    judge: Policy | Rule
    segments: frozenset[str] | None
    selection: Selection
    scope: str

    def ask(self, candidate: Candidate, context: Context, memo: VerdictMemo) -> Verdict:
        """Give the verdict on a candidate, a pass where it does not apply; one about all alike is kept in the memo."""
        known = memo.verdicts.get(self)
        if known is not None:
            return known
        if self.segments is not None and self.segments.isdisjoint(context.segments):
            verdict = PASSED
        else:
            verdict = self.judge.check(candidate, context, self.selection, self.scope)
        if self.judge.is_shared:
            memo.verdicts[self] = verdict
        return verdict


def _reads_history_of_one_offer(binding: ScopedRule) -> bool:
    """Whether it has nothing to say to customers who were never contacted about the offer."""
    selection, judge = binding.selection, binding.judge
    return (
        isinstance(judge, Policy) and judge.asks_history and selection.offers is not None and len(selection.offers) == 1
    )


PositionedRule: TypeAlias = tuple[int, ScopedRule]
"""A binding with its place in the order of all judges."""


class BlockingVerdict(NamedTuple):
    """A verdict that blocks, with its binding and its place."""

    place: int
    binding: ScopedRule
    verdict: Verdict


@dataclass(frozen=True, slots=True, eq=False)
class RuleSet:
    """Bindings of candidates. Candidates with the same ones have the same object.

    Attributes:
        shared: Those that judge all candidates alike.
        own: The others.
    """

    shared: Sequence[PositionedRule]
    own: Sequence[PositionedRule]


@dataclass(slots=True)
class VerdictMemo:
    """Verdicts that hold for many candidates of one run.

    Attributes:
        verdicts: Of rules and policies that judge all candidates in their scope alike.
        blocked: What of these blocks candidates with the same bindings, and the bindings to be asked one by one.
    """

    verdicts: dict[ScopedRule, Verdict] = field(default_factory=dict)
    blocked: dict[RuleSet, tuple[Sequence[BlockingVerdict], Sequence[PositionedRule]]] = field(default_factory=dict)


def _find_blocking(
    placed: Iterable[PositionedRule], candidate: Candidate, context: Context, memo: VerdictMemo
) -> Sequence[BlockingVerdict]:
    return [
        BlockingVerdict(place, binding, verdict)
        for place, binding in placed
        if (verdict := binding.ask(candidate, context, memo)).is_blocked
    ]


@dataclass(slots=True)
class RuleIndex:
    """Finds the bindings of candidates, and remembers them.

    Most customers were contacted about few offers, so that for the others what only asks for such contacts is left out.
    What is left is the same for many candidates, and is asked once for all of them.
    """

    judges: Sequence[Policy | Rule]
    _of_places: dict[ScopeKey, tuple[RuleSet, Sequence[PositionedRule]]] = field(default_factory=dict)
    _bound: dict[tuple[PositionedRule, ...], RuleSet] = field(default_factory=dict)
    _known: dict[tuple[str, Selection, frozenset[str] | None, str], ScopedRule] = field(default_factory=dict)

    def ask(self, candidate: Candidate, context: Context) -> Sequence[BlockingVerdict]:
        """What blocks a candidate, in the order of the judges."""
        memo = context.memo(VerdictMemo)
        blocked, own = self._begin(candidate, context, memo)
        mine = _find_blocking(own, candidate, context, memo) if own else ()
        return sorted((*blocked, *mine), key=attrgetter("place")) if mine else blocked

    def first(self, candidate: Candidate, context: Context) -> BlockingVerdict | None:
        """What blocks a candidate first; nothing that comes after is asked for the candidate alone."""
        memo = context.memo(VerdictMemo)
        blocked, own = self._begin(candidate, context, memo)
        found = blocked[0] if blocked else None
        for place, binding in own:
            if found is not None and place > found.place:
                break
            verdict = binding.ask(candidate, context, memo)
            if verdict.is_blocked:
                return BlockingVerdict(place, binding, verdict)
        return found

    def _begin(
        self, candidate: Candidate, context: Context, memo: VerdictMemo
    ) -> tuple[Sequence[BlockingVerdict], Sequence[PositionedRule]]:
        """What blocks this candidate and others alike, and what is to be asked for it alone."""
        if not self.judges:
            return (), ()
        bound, own_of_known = self._of(candidate, context)
        known = memo.blocked.get(bound)
        if known is None:
            own = tuple(one for one in bound.own if not one[1].judge.is_quiet(context))
            known = memo.blocked[bound] = _find_blocking(bound.shared, candidate, context, memo), own
        return (known[0], own_of_known) if candidate.offer.id in context.tallies.known_offers else known

    def _of(self, candidate: Candidate, context: Context) -> tuple[RuleSet, Sequence[PositionedRule]]:
        """The bindings of a candidate, and those of its own if the customer knows the offer."""
        creative, request = candidate.creative, context.request
        place: ScopeKey
        if creative is None:
            place = candidate.offer.id, "", request.channel_id, request.placement_id
        elif creative.placement_id or request.placement_id is None:
            place = creative.id
        else:
            place = candidate.offer.id, creative.id, None, request.placement_id
        found = self._of_places.get(place)
        if found is None:
            if len(self._of_places) >= MAX_SCOPE_KEYS:
                self._of_places.clear()
                self._bound.clear()
            found = self._of_places[place] = self._sort(
                (number * MAX_SCOPES + index, binding)
                for number, judge in enumerate(self.judges)
                for index, binding in enumerate(self._bind(judge, candidate, context))
            )
        return found

    def _sort(self, placed: Iterable[PositionedRule]) -> tuple[RuleSet, Sequence[PositionedRule]]:
        every = tuple(placed)
        always = tuple(one for one in every if not _reads_history_of_one_offer(one[1]))
        if always not in self._bound:
            shared = tuple(one for one in always if one[1].judge.is_shared)
            self._bound[always] = RuleSet(shared, tuple(one for one in always if not one[1].judge.is_shared))
        bound = self._bound[always]
        return bound, tuple(one for one in every if one not in bound.shared)

    def _bind(self, judge: Policy | Rule, candidate: Candidate, context: Context) -> list[ScopedRule]:
        if isinstance(judge, Policy) and not judge.concerns(candidate.offer):
            return []
        bindings = [one for scope in judge.scopes if (one := self._under(judge, scope, candidate, context))]
        if len(bindings) < 2 or (isinstance(judge, Policy) and judge.asks_history):
            return bindings
        # The others say the same under each of their scopes, and are to say it once.
        plain = [one for one in bindings if one.segments is None]
        segments = frozenset(name for one in bindings for name in one.segments or ())
        return [plain[0] if plain else self._intern(judge, EVERYTHING, segments, "")]

    def _under(self, judge: Policy | Rule, scope: Scope, candidate: Candidate, context: Context) -> ScopedRule | None:
        if scope.scope is ScopeKind.SEGMENT:
            return self._intern(judge, EVERYTHING, frozenset((scope.scope_id or "",)), describe_scope(scope))
        selection = select_subjects(scope, find_scoped_id(scope.scope, candidate, context), judge.members)
        if selection is None:
            return None
        if isinstance(judge, Policy) and judge.asks_history:
            return self._intern(judge, selection, None, describe_scope(scope))
        return self._intern(judge, EVERYTHING, None, "")  # which scope it is does not change what it says

    def _intern(
        self, judge: Policy | Rule, selection: Selection, segments: frozenset[str] | None, scope: str
    ) -> ScopedRule:
        key = (judge.entity.id, selection, segments, scope)
        if key not in self._known:
            self._known[key] = ScopedRule(judge, segments, selection, scope)
        return self._known[key]
