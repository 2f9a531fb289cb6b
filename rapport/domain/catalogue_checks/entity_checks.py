"""Validation of an entity beyond its type, before it is stored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, get_args

from rapport.domain.catalogue.inventory import Category, Channel, ChannelType, Creative, Offer, SubCategory
from rapport.domain.catalogue.plain import to_full_fields
from rapport.domain.catalogue.schedule import parse_optional_instant
from rapport.domain.catalogue.strategy import (
    ContactPolicy,
    DecisionFlow,
    Experiment,
    MetricDefinition,
    Model,
    QualificationRule,
)
from rapport.domain.catalogue.suppression import SuppressionRule
from rapport.domain.catalogue.values import Entity, Scope, ScopeKind
from rapport.domain.catalogue_checks.entity_references import list_config_references, list_flow_references
from rapport.domain.conditions import ConditionError
from rapport.domain.configs import ConfigError
from rapport.domain.decisions.eligibility.policies import compile_policy
from rapport.domain.decisions.eligibility.rules import compile_rule
from rapport.domain.decisions.eligibility.scopes import EACH, ScopeMembers, find_scope_faults
from rapport.domain.decisions.flow_checks import find_flow_faults, find_formula_fault
from rapport.domain.decisions.output.templates import MAX_PLACEHOLDERS, find_template_fault
from rapport.domain.decisions.scoring.models.compile import compile_model
from rapport.domain.faults import Fault
from rapport.domain.journeys.checks import find_journey_faults
from rapport.domain.numbers import BEYOND, find_inexact
from rapport.domain.profiles.segments import find_segment_faults
from rapport.domain.times import InstantError

KnownNames = Mapping[str, Collection[str]]
METRIC_FILTERS: Final = ("outcome", "classification", "category", "offerId", "creativeId", "channelId", "direction")


def find_entity_faults(kind: str, entity: Entity, known: KnownNames) -> list[Fault]:
    """Return all faults of an entity.

    Args:
        kind: One of :data:`rapport.domain.catalogue_checks.kinds.KINDS`.
        entity: Entity that is valid for its type.
        known: Names that references may use, by kind: ids, and keys of entities that have one. References to other
            kinds are not checked; besides the catalogue's kinds there are ``segment`` and ``outcome``.
    """
    if inexact := [Fault(path, BEYOND) for path in find_inexact(to_full_fields(entity))]:
        return inexact  # further checks cannot compute with such numbers
    faults = [
        Fault(path, f"there is no {target.replace('_', '-')} {wanted!r}")
        for path, target, wanted in _list_references(kind, entity)
        if target in known and wanted not in known[target]
    ]
    check = _CHECKS.get(kind)
    return faults + (list(check(entity, known)) if check else [])


def _list_references(kind: str, entity: Entity) -> Iterator[tuple[str, str, str]]:
    """Iterate over the references of an entity: path of the field, kind of the target, its id or key."""
    for attribute, path, target in _PLAIN_REFERENCES.get(kind, ()):
        wanted = getattr(entity, attribute)
        if wanted:
            yield path, target, wanted
    if isinstance(entity, ContactPolicy | QualificationRule):
        yield from _list_scope_references(entity)
        yield from list_config_references(entity)
    elif isinstance(entity, Experiment):
        for index, challenger in enumerate(entity.challengers):
            yield f"challengers[{index}].modelId", "model", challenger.model_id
    elif isinstance(entity, DecisionFlow):
        yield from list_flow_references(entity)
    elif isinstance(entity, SuppressionRule):
        for field, outcomes in (("outcomes", entity.outcomes), ("endedBy", entity.ended_by)):
            yield from ((f"{field}[{index}]", "outcome", outcome) for index, outcome in enumerate(outcomes))


_PLAIN_REFERENCES: Final[Mapping[str, tuple[tuple[str, str, str], ...]]] = {
    "sub_category": (("category_id", "categoryId", "category"),),
    "placement": (("channel_id", "channelId", "channel"),),
    "offer": (("category_id", "categoryId", "category"), ("sub_category_id", "subCategoryId", "sub_category")),
    "creative": (
        ("offer_id", "offerId", "offer"),
        ("channel_id", "channelId", "channel"),
        ("placement_id", "placementId", "placement"),
    ),
    "experiment": (("champion_model_id", "championModelId", "model"),),
}
_KIND_OF_SCOPE: Final = {kind: str(kind) for kind in ScopeKind if kind is not ScopeKind.GLOBAL} | {
    ScopeKind.SUBCATEGORY: "sub_category"
}


def _list_scope_references(entity: ContactPolicy | QualificationRule) -> Iterator[tuple[str, str, str]]:
    named: list[tuple[str, Scope]] = [(f"scopes[{i}].scopeId", scope) for i, scope in enumerate(entity.scopes)]
    for path, scope in named or [("scopeId", Scope(scope=entity.scope, scope_id=entity.scope_id))]:
        if scope.scope_id and scope.scope_id != EACH and scope.scope in _KIND_OF_SCOPE:
            yield path, _KIND_OF_SCOPE[scope.scope], scope.scope_id


def _check_rule(rule: QualificationRule, _known: KnownNames) -> Iterator[Fault]:
    yield from find_scope_faults(rule)
    try:
        compile_rule(rule, ScopeMembers())
    except ConfigError as error:
        yield from _prefix_config_faults(error)
    except ConditionError as error:
        yield Fault("config", str(error))


def _check_policy(policy: ContactPolicy, _known: KnownNames) -> Iterator[Fault]:
    yield from find_scope_faults(policy)
    try:
        compile_policy(policy, ScopeMembers())
    except ConfigError as error:
        yield from _prefix_config_faults(error)
    except ConditionError as error:
        yield Fault("config", str(error))


def _prefix_config_faults(error: ConfigError) -> Iterator[Fault]:
    for fault in error.faults:
        yield Fault(f"config.{fault.field}" if fault.field else "config", fault.message)


def _check_offer(offer: Offer, _known: KnownNames) -> Iterator[Fault]:
    moments = {
        "schedule.startAt": offer.schedule.start_at,
        "schedule.endAt": offer.schedule.end_at,
        "mandatoryExpiresAt": offer.mandatory_expires_at,
    }
    for path, text in moments.items():
        try:
            parse_optional_instant(text)
        except InstantError as error:
            yield Fault(path, str(error))
    caps = offer.frequency_caps
    for (inner, narrow), (outer, wide) in (
        (("daily", caps.daily), ("weekly", caps.weekly)),
        (("weekly", caps.weekly), ("monthly", caps.monthly)),
    ):
        if narrow is not None and wide is not None and narrow > wide:
            yield Fault(f"frequencyCaps.{inner}", f"{narrow} is more than {outer} allows, which is {wide}")


def _check_creative(creative: Creative, _known: KnownNames) -> Iterator[Fault]:
    if len(creative.personalization) > MAX_PLACEHOLDERS:
        yield Fault(
            "personalization", f"has {len(creative.personalization):,} variables; {MAX_PLACEHOLDERS:,} are allowed"
        )
        return
    seen: set[str] = set()
    for index, variable in enumerate(creative.personalization):
        if variable.variable in seen:
            yield Fault(f"personalization[{index}].variable", f"{variable.variable} occurs twice")
        seen.add(variable.variable)
    for name, template in creative.content.items():
        if fault := find_template_fault(creative.template_type, name, template):
            yield Fault(f"content.{name}", fault)


def _check_channel(channel: Channel, _known: KnownNames) -> Iterator[Fault]:
    if channel.channel_type is None:
        yield Fault(
            "channelType", f"is required, because consent hangs on it: one of {', '.join(get_args(ChannelType))}"
        )


def _check_custom_fields(entity: Category | SubCategory, _known: KnownNames) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, field in enumerate(entity.custom_fields):
        path = f"customFields[{index}]"
        if field.key in seen:
            yield Fault(f"{path}.key", f"{field.key} occurs twice")
        seen.add(field.key)
        if field.type == "select" and not field.options:
            yield Fault(f"{path}.options", "a field of type select needs options")
        if field.type == "computed" and (fault := find_formula_fault(field.formula)):
            yield Fault(f"{path}.formula", fault if field.formula else "a computed field needs a formula")


def _check_experiment(experiment: Experiment, _known: KnownNames) -> Iterator[Fault]:
    total = experiment.traffic_split.champion_pct + sum(challenger.traffic_pct for challenger in experiment.challengers)
    if abs(total - 100) > 1e-6:
        yield Fault(
            "trafficSplit.championPct", f"the shares of champion and challengers add up to {total:g}, not to 100"
        )
    seen = {experiment.champion_model_id}
    for index, challenger in enumerate(experiment.challengers):
        if challenger.model_id in seen:
            yield Fault(f"challengers[{index}].modelId", f"{challenger.model_id} takes part twice")
        seen.add(challenger.model_id)


def _check_model(model: Model, _known: KnownNames) -> Iterator[Fault]:
    try:
        compile_model(model)
    except ConfigError as error:
        yield from _prefix_config_faults(error)
    except ConditionError as error:
        yield Fault("config", str(error))


def _check_metric(metric: MetricDefinition, _known: KnownNames) -> Iterator[Fault]:
    if metric.source_field == "*" and metric.aggregate_function != "count":
        yield Fault("sourceField", f"{metric.aggregate_function} needs conversion_value; only count works on *")
    for column, accepted in metric.filter_conditions.items():
        if column not in METRIC_FILTERS:
            yield Fault(f"filterConditions.{column}", f"is not known; known are {', '.join(METRIC_FILTERS)}")
        elif not accepted:
            yield Fault(f"filterConditions.{column}", "must name values; leave it out to count whatever it is")


def _check_flow(flow: DecisionFlow, known: KnownNames) -> Iterator[Fault]:
    if not flow.draft:
        return
    for fault in find_flow_faults(flow.draft, known.get("decision_flow", ())):
        yield Fault(f"draft.{fault.field}" if fault.field else "draft", fault.message)


_CHECKS: Final[Mapping[str, Callable[[Any, KnownNames], Iterator[Fault]]]] = {
    "qualification_rule": _check_rule,
    "contact_policy": _check_policy,
    "offer": _check_offer,
    "channel": _check_channel,
    "creative": _check_creative,
    "category": _check_custom_fields,
    "sub_category": _check_custom_fields,
    "experiment": _check_experiment,
    "metric": _check_metric,
    "model": _check_model,
    "decision_flow": _check_flow,
    "segment": find_segment_faults,
    "journey": find_journey_faults,
}
