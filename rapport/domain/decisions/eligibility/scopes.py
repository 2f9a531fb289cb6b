"""Scopes of rules and policies: the candidates that they apply to and the contacts that count."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rapport.domain.catalogue.values import Scope, ScopeKind
from rapport.domain.decisions.facts import EVERYTHING, Selection
from rapport.domain.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rapport.domain.catalogue.inventory import Creative, Offer
    from rapport.domain.catalogue.strategy import ContactPolicy, QualificationRule
    from rapport.domain.decisions.candidates import Candidate, Context

EACH: Final = "*"
"""Id of a scope that applies to each offer, creative, channel or category separately."""


@dataclass(frozen=True, slots=True)
class ScopeMembers:
    """Members of categories, sub-categories and placements, by id.

    Built from the whole catalogue, ended entities included, because past contacts refer to them.
    """

    offers_of_category: Mapping[str, frozenset[str]] = field(default_factory=dict)
    offers_of_subcategory: Mapping[str, frozenset[str]] = field(default_factory=dict)
    creatives_of_placement: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def build(cls, offers: Iterable[Offer], creatives: Iterable[Creative]) -> ScopeMembers:
        """Group offers and creatives by what they belong to."""
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
    """Return the scopes of a rule or policy: its list, or its single one."""
    return entity.scopes or (Scope(scope=entity.scope, scope_id=entity.scope_id),)


def find_scope_faults(entity: ContactPolicy | QualificationRule) -> list[Fault]:
    """Return a fault for each scope without an id; such a scope would silently apply to nothing."""
    if not entity.scopes:
        return (
            [Fault("scopeId", _describe_missing_id(entity.scope))] if _lacks_id(entity.scope, entity.scope_id) else []
        )
    return [
        Fault(f"scopes[{index}].scopeId", _describe_missing_id(scope.scope))
        for index, scope in enumerate(entity.scopes)
        if _lacks_id(scope.scope, scope.scope_id)
    ]


def _lacks_id(kind: ScopeKind, scope_id: str | None) -> bool:
    return kind is not ScopeKind.GLOBAL and not scope_id


def _describe_missing_id(kind: ScopeKind) -> str:
    return f"scope {kind} needs the id of what it applies to, or {EACH} for each for itself"


def select_subjects(scope: Scope, actual: str | None, members: ScopeMembers) -> Selection | None:
    """Return the subjects whose contacts count under a scope other than a segment; None if it does not cover the id.

    Args:
        scope: Scope of a rule or policy.
        actual: Id of the candidate's offer, category, creative, ...: whichever the scope is about.
        members: Members of the catalogue's categories and placements.
    """
    if scope.scope is ScopeKind.GLOBAL:
        return EVERYTHING
    if not actual or scope.scope_id not in (EACH, actual):
        return None
    return _SELECTIONS[scope.scope](actual, members)


def describe_scope(scope: Scope) -> str:
    """Return a description of a scope: ``global``, or ``offer loan-1``."""
    return str(scope.scope) if scope.scope is ScopeKind.GLOBAL else f"{scope.scope} {scope.scope_id}"


def find_scoped_id(kind: ScopeKind, candidate: Candidate, context: Context) -> str | None:
    """Return the candidate's id that a scope of some kind is compared with; None if it has none."""
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
