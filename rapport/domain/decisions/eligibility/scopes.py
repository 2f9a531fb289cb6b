"""What a rule or a policy applies to, and which contacts it counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rapport.domain.catalogue.values import Scope, ScopeKind
from rapport.domain.decisions.facts import EVERYTHING, Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rapport.domain.catalogue.inventory import Creative, Offer
    from rapport.domain.catalogue.strategy import ContactPolicy, QualificationRule
    from rapport.domain.decisions.candidates import Candidate, Context

EACH: Final = "*"
"""As an id: each offer, creative, channel or category for itself."""


@dataclass(frozen=True, slots=True)
class ScopeMembers:
    """Which offers and creatives belong to what; of the whole catalogue, because contacts name what has ended too."""

    offers_of_category: Mapping[str, frozenset[str]] = field(default_factory=dict)
    offers_of_subcategory: Mapping[str, frozenset[str]] = field(default_factory=dict)
    creatives_of_placement: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, offers: Iterable[Offer], creatives: Iterable[Creative]) -> ScopeMembers:
        """Gather them."""
        categories: dict[str, set[str]] = {}
        subcategories: dict[str, set[str]] = {}
        placements: dict[str, set[str]] = {}
        for offer in offers:
            categories.setdefault(offer.category_id or "", set()).add(offer.id)
            subcategories.setdefault(offer.sub_category_id or "", set()).add(offer.id)
        for creative in creatives:
            placements.setdefault(creative.placement_id or "", set()).add(creative.id)
        return cls(_freeze(categories), _freeze(subcategories), _freeze(placements))


def scopes_of(entity: ContactPolicy | QualificationRule) -> Sequence[Scope]:
    """Where it applies: its list of scopes, or the single one."""
    return entity.scopes or (Scope(scope=entity.scope, scope_id=entity.scope_id),)


def find_scope_faults(entity: ContactPolicy | QualificationRule) -> list[tuple[str, str]]:
    """Scopes that name nothing: (field, what is wrong with it). They would silently apply to nothing."""
    if not entity.scopes:
        return [("scopeId", _describe_missing_id(entity.scope))] if _lacks_id(entity.scope, entity.scope_id) else []
    return [
        (f"scopes[{index}].scopeId", _describe_missing_id(one.scope))
        for index, one in enumerate(entity.scopes)
        if _lacks_id(one.scope, one.scope_id)
    ]


def _lacks_id(kind: ScopeKind, scope_id: str | None) -> bool:
    return kind is not ScopeKind.GLOBAL and not scope_id


def _describe_missing_id(kind: ScopeKind) -> str:
    return f"scope {kind} needs the id of what it applies to, or {EACH} for each for itself"


def select_for_candidate(
    scope: Scope, candidate: Candidate, context: Context, members: ScopeMembers
) -> Selection | None:
    """The contacts that count for a candidate under a scope; None where the scope does not apply to it."""
    if scope.scope is ScopeKind.SEGMENT:
        return EVERYTHING if scope.scope_id in context.segments else None
    return select_subjects(scope, find_scoped_id(scope.scope, candidate, context), members)


def select_subjects(scope: Scope, actual: str | None, members: ScopeMembers) -> Selection | None:
    """The contacts that count under a scope other than a segment for what has an id; None where it does not apply."""
    if scope.scope is ScopeKind.GLOBAL:
        return EVERYTHING
    if not actual or scope.scope_id not in (EACH, actual):
        return None
    return _SELECTIONS[scope.scope](actual, members)


def describe_scope(scope: Scope) -> str:
    """``global``, or ``offer loan-1``."""
    return str(scope.scope) if scope.scope is ScopeKind.GLOBAL else f"{scope.scope} {scope.scope_id}"


def find_scoped_id(kind: ScopeKind, candidate: Candidate, context: Context) -> str | None:
    """The id that a scope of some kind is compared with."""
    offer, creative, request = candidate.offer, candidate.creative, context.request
    return {
        ScopeKind.OFFER: offer.id,
        ScopeKind.CATEGORY: offer.category_id,
        ScopeKind.SUBCATEGORY: offer.sub_category_id,
        ScopeKind.CREATIVE: creative.id if creative else None,
        ScopeKind.CHANNEL: creative.channel_id if creative else request.channel_id,
        ScopeKind.PLACEMENT: (creative.placement_id if creative else None) or request.placement_id,
    }.get(kind)


def _freeze(groups: dict[str, set[str]]) -> dict[str, frozenset[str]]:
    return {name: frozenset(members) for name, members in groups.items()}


_NONE: Final[frozenset[str]] = frozenset()
_SELECTIONS: Final[Mapping[ScopeKind, Callable[[str, ScopeMembers], Selection]]] = {
    ScopeKind.OFFER: lambda own, _members: Selection(offers=frozenset((own,))),
    ScopeKind.CREATIVE: lambda own, _members: Selection(creatives=frozenset((own,))),
    ScopeKind.CHANNEL: lambda own, _members: Selection(channels=frozenset((own,))),
    ScopeKind.CATEGORY: lambda own, members: Selection(offers=members.offers_of_category.get(own, _NONE)),
    ScopeKind.SUBCATEGORY: lambda own, members: Selection(offers=members.offers_of_subcategory.get(own, _NONE)),
    ScopeKind.PLACEMENT: lambda own, members: Selection(creatives=members.creatives_of_placement.get(own, _NONE)),
}
