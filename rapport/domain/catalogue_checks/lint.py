"""Linter of a catalogue: finds configurations that silently do nothing, or not what they seem to do.

A catalogue with warnings can be stored. All warnings except ``cannot_be_read`` concern valid entities; that one
concerns entities that were stored when the validation was different.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from rapport.domain.catalogue.inventory import Creative, Offer
from rapport.domain.catalogue.schedule import parse_optional_instant
from rapport.domain.catalogue.strategy import ContactPolicy, DecisionFlow, QualificationRule
from rapport.domain.catalogue.values import Entity, Scope, ScopeKind, Status
from rapport.domain.catalogue_checks.entity_checks import find_entity_faults
from rapport.domain.catalogue_checks.lint_eligibility import lint_eligibility_steps, lint_sources
from rapport.domain.catalogue_checks.lint_flows import ActiveCatalogue, lint_flows, list_flows_in_use
from rapport.domain.catalogue_checks.lint_placeholders import lint_placeholders
from rapport.domain.catalogue_checks.validate import UNIQUE_NAMES, Entities
from rapport.domain.catalogue_checks.warnings import LintWarning
from rapport.domain.decisions.eligibility.scopes import EACH, describe_scope, find_scope_faults, scopes_of
from rapport.domain.decisions.flow_checks import find_flow_faults

E = TypeVar("E", bound=Entity)
_CAPS: Final = (("maxPerDay", "maxPerWeek"), ("maxPerWeek", "maxPerMonth"), ("maxPerDay", "maxPerMonth"))
_CAPS_IN_ALL: Final = ("maxPerDay", "maxPerWeek", "maxPerMonth")


def lint_catalogue(entities: Entities) -> list[LintWarning]:
    """Return all warnings about a catalogue, ordered by kind and id."""
    active, flows = ActiveCatalogue.build(entities), list_flows_in_use(entities)
    warnings = [
        *_lint_policies(_select_active(entities, "contact_policy", ContactPolicy), active),
        *_lint_rules(_select_active(entities, "qualification_rule", QualificationRule), active),
        *_lint_creatives(_select_active(entities, "creative", Creative), active),
        *lint_flows(entities, active),
        *lint_eligibility_steps(entities, flows),
        *lint_sources(entities, flows),
        *lint_placeholders(entities, flows),
        *_lint_offers(_select_active(entities, "offer", Offer), active),
        *_lint_names(entities),
        *_lint_unreadable(entities),
    ]
    return sorted(warnings, key=lambda warning: (warning.kind, warning.id, warning.code, warning.field))


def _select_active(entities: Entities, kind: str, expected: type[E]) -> list[E]:
    return [
        entity for entity in entities.get(kind, ()) if isinstance(entity, expected) and entity.status is Status.ACTIVE
    ]


def _lint_policies(policies: Iterable[ContactPolicy], active: ActiveCatalogue) -> Iterator[LintWarning]:
    for policy in policies:
        yield from _lint_scopes("contact_policy", policy, active)
        for field, message in _find_contradictions(policy.config):
            yield LintWarning("contradictory_caps", "contact_policy", policy.id, f"config.{field}", message)


def _lint_rules(rules: Iterable[QualificationRule], active: ActiveCatalogue) -> Iterator[LintWarning]:
    for rule in rules:
        yield from _lint_scopes("qualification_rule", rule, active)


def _lint_scopes(
    kind: str, entity: ContactPolicy | QualificationRule, active: ActiveCatalogue
) -> Iterator[LintWarning]:
    without_id = find_scope_faults(entity)
    for fault in without_id:
        yield LintWarning("scope_without_id", kind, entity.id, fault.field, fault.message)
    if not without_id and all(_is_empty_scope(scope, active) for scope in scopes_of(entity)):
        named = ", ".join(describe_scope(scope) for scope in scopes_of(entity))
        message = f"it applies to {named}, and nothing that is active belongs to that"
        yield LintWarning("scope_matches_nothing", kind, entity.id, "scopes" if entity.scopes else "scopeId", message)


def _is_empty_scope(scope: Scope, active: ActiveCatalogue) -> bool:
    if scope.scope in (ScopeKind.GLOBAL, ScopeKind.SEGMENT):  # segments are not part of the catalogue
        return False
    known = active.list_scope_ids(scope.scope)
    return not known if scope.scope_id == EACH else scope.scope_id not in known


def _find_contradictions(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    pairs = [*_CAPS, *((cap, "maxTotal") for cap in _CAPS_IN_ALL)]
    for narrow, wide in pairs:
        inner, outer = config.get(narrow), config.get(wide)
        if isinstance(inner, int) and isinstance(outer, int) and inner > outer:
            yield narrow, f"{inner} is never reached: {wide} is {outer}"


def _lint_creatives(creatives: Iterable[Creative], active: ActiveCatalogue) -> Iterator[LintWarning]:
    for creative in creatives:
        if creative.channel_id not in active.channels:
            what = "not active" if creative.channel_id in active.all_channels else "unknown"
            message = f"channel {creative.channel_id!r} is {what}"
            yield LintWarning("creative_never_shown", "creative", creative.id, "channelId", message)
        if creative.offer_id not in active.offers:
            message = f"there is no active offer {creative.offer_id!r}"
            yield LintWarning("creative_never_shown", "creative", creative.id, "offerId", message)
        placement = active.placements.get(creative.placement_id or "")
        if creative.placement_id and placement is None:
            message = f"there is no active placement {creative.placement_id!r}"
            yield LintWarning("creative_never_shown", "creative", creative.id, "placementId", message)
        elif placement is not None and placement.channel_id != creative.channel_id:
            message = f"placement {placement.id!r} belongs to channel {placement.channel_id!r}"
            yield LintWarning("creative_never_shown", "creative", creative.id, "placementId", message)


def _lint_offers(offers: Iterable[Offer], active: ActiveCatalogue) -> Iterator[LintWarning]:
    for offer in offers:
        if offer.id not in active.creatives_of:
            message = "it has no active creative on an active channel, so that there is nothing to show of it"
            yield LintWarning("offer_without_creative", "offer", offer.id, "", message)
        if offer.id not in active.reached:
            message = "no flow that requests can run ever returns it"
            yield LintWarning("offer_never_returned", "offer", offer.id, "", message)
        start_ms, end_ms = _parse_instant(offer.schedule.start_at), _parse_instant(offer.schedule.end_at)
        if start_ms is not None and end_ms is not None and start_ms >= end_ms:
            yield LintWarning("offer_never_returned", "offer", offer.id, "schedule.endAt", "it ends before it begins")
        budget = offer.budget
        if budget.max_per_day is not None and budget.max_total is not None and budget.max_per_day > budget.max_total:
            message = f"{budget.max_per_day} is never reached: maxTotal is {budget.max_total}"
            yield LintWarning("contradictory_caps", "offer", offer.id, "budget.maxPerDay", message)


def _lint_unreadable(entities: Entities) -> Iterator[LintWarning]:
    """Find active entities that would not pass today's validation, such as a pattern in a former dialect."""
    for kind, effect in _EFFECTS.items():
        for entity in _select_active(entities, kind, Entity):
            for fault in find_entity_faults(kind, entity, {}):
                if not fault.field.startswith("scope"):  # reported by _lint_scopes
                    yield LintWarning("cannot_be_read", kind, entity.id, fault.field, f"{effect}: {fault.message}")
    for flow in _select_active(entities, "decision_flow", DecisionFlow):
        for fault in find_flow_faults(flow.published) if flow.published_version else ():
            field, message = f"published.{fault.field}", f"no request is decided by it: {fault.message}"
            yield LintWarning("cannot_be_read", "decision_flow", flow.id, field, message)


_EFFECTS: Final[Mapping[str, str]] = {
    "qualification_rule": "no customer fulfils it",
    "contact_policy": "it blocks everything it applies to",
    "model": "it counts as failing",
}


def _parse_instant(text: str | None) -> float | None:
    try:
        return parse_optional_instant(text)
    except ValueError:
        return None


def _lint_names(entities: Entities) -> Iterator[LintWarning]:
    """Find repeated names of kinds whose names need not be unique: allowed, but misleading."""
    for kind, some in entities.items():
        if kind in UNIQUE_NAMES:
            continue
        by_name: dict[tuple[str, str], list[str]] = defaultdict(list)
        for entity in some:
            if entity.status is not Status.ARCHIVED:
                by_name[entity.name.casefold(), getattr(entity, "offer_id", "")].append(entity.id)
        for ids in by_name.values():
            first, *duplicates = sorted(ids)
            for duplicate in duplicates:
                yield LintWarning("duplicate_name", kind, duplicate, "name", f"{first!r} is called the same")
