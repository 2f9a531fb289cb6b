"""Compilation of a tenant's catalogue for decisions: once per version, not once per request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from rapport.domain.catalogue.customer_schema import CustomerSchema
from rapport.domain.catalogue.inventory import Category, Channel, Creative, Offer, Placement, SubCategory
from rapport.domain.catalogue.strategy import (
    ContactPolicy,
    DecisionFlow,
    Experiment,
    MetricDefinition,
    Model,
    QualificationRule,
    RankingProfile,
)
from rapport.domain.catalogue.suppression import SuppressionRule
from rapport.domain.catalogue.values import Entity, Status
from rapport.domain.conditions import ConditionError
from rapport.domain.configs import ConfigError
from rapport.domain.decisions.candidate_columns import CandidateColumns
from rapport.domain.decisions.catalogue import BASE_FLOW, Catalogue, Extension, Needs
from rapport.domain.decisions.compile_flow import FlowDependencies, compile_flow
from rapport.domain.decisions.computed_fields import OfferFields, prepare_offer
from rapport.domain.decisions.eligibility.evaluation import ContactPolicyIndex
from rapport.domain.decisions.eligibility.policies import Policy, compile_policy
from rapport.domain.decisions.eligibility.rule_index import RuleIndex
from rapport.domain.decisions.eligibility.rules import Rule, compile_rule, make_blocking_rule
from rapport.domain.decisions.eligibility.scopes import ScopeMembers, find_scope_faults
from rapport.domain.decisions.eligibility.suppressions import compile_suppressions
from rapport.domain.decisions.field_references import find_referenced_attributes, find_referenced_metrics, is_light
from rapport.domain.decisions.model import Scorer
from rapport.domain.decisions.program import Program
from rapport.domain.decisions.scoring.models.compile import compile_model
from rapport.domain.decisions.windows import Window, WindowKind, WindowUnit
from rapport.domain.profiles.attribute_sources import AttributeSources

E = TypeVar("E", bound=Entity)
_CALENDAR_PERIODS = frozenset(
    Window(WindowKind.CALENDAR, unit) for unit in (WindowUnit.DAY, WindowUnit.WEEK, WindowUnit.MONTH)
)
"""Windows that every catalogue needs: offers' own caps and the fatigue factor count in them."""


def compile_catalogue(
    stamp: str, entities: Mapping[str, Iterable[Entity]], extensions: Mapping[str, Extension] | None = None
) -> Catalogue:
    """Compile a catalogue.

    Faults do not raise: the catalogue's ``problems`` say which parts are left out, or block everything, and why.

    Args:
        stamp: Version of the catalogue.
        entities: Entities by kind (:data:`rapport.domain.catalogue_checks.kinds.KINDS`), without deleted ones.
        extensions: Plug-ins by extension point.
    """
    problems: list[str] = []
    channels = {channel.id: channel for channel in _select_active(_select_kind(entities, "channel", Channel))}
    categories = {category.id: category for category in _select_kind(entities, "category", Category)}
    sub_categories = {
        sub_category.id: sub_category for sub_category in _select_kind(entities, "sub_category", SubCategory)
    }
    fields = OfferFields.build(categories, sub_categories, problems)
    offers = [
        prepare_offer(offer, fields, problems)
        for offer in sorted(_select_kind(entities, "offer", Offer), key=_sort_by_id)
    ]
    creatives = _select_kind(entities, "creative", Creative)
    members = ScopeMembers.build(offers, creatives)
    active_creatives = _group_by_offer(creatives, channels)
    columns = CandidateColumns.build(offers, active_creatives)
    rules = _compile_rules(_select_kind(entities, "qualification_rule", QualificationRule), members, problems)
    policies, broken_policies = _compile_policies(
        _select_kind(entities, "contact_policy", ContactPolicy), members, problems
    )
    suppressions = compile_suppressions(_select_kind(entities, "suppression_rule", SuppressionRule), members)
    policy_index = ContactPolicyIndex.build(policies, broken_policies, suppressions, columns.size)
    dependencies = FlowDependencies(
        offers, columns, rules, policies, broken_policies, RuleIndex(rules, columns.size), policy_index, suppressions
    )
    flows = [
        flow for flow in _select_active(_select_kind(entities, "decision_flow", DecisionFlow)) if flow.published_version
    ]
    programs = _compile_flows([BASE_FLOW, *flows], dependencies, problems)
    models = {model.key: model for model in _select_active(_select_kind(entities, "model", Model))}
    metrics = _select_active(_select_kind(entities, "metric", MetricDefinition))
    return Catalogue(
        stamp=stamp,
        offers={offer.id: offer for offer in offers},
        creatives=active_creatives,
        columns=columns,
        channels=channels,
        placements={
            placement.id: placement for placement in _select_active(_select_kind(entities, "placement", Placement))
        },
        categories=categories,
        sub_categories=sub_categories,
        rules=rules,
        policies=policies,
        broken_policies=broken_policies,
        suppressions=suppressions,
        flows={flow.key: flow for flow in flows if flow.key in programs},
        programs=programs,
        compile=partial(compile_flow, dependencies=dependencies),
        unconditional_suppressions=policy_index.unconditional,
        models=models,
        scorers=_compile_models(models.values(), problems),
        profiles={
            profile.id: profile for profile in _select_active(_select_kind(entities, "ranking_profile", RankingProfile))
        },
        experiments={
            experiment.id: experiment for experiment in _select_active(_select_kind(entities, "experiment", Experiment))
        },
        metrics={metric.key: metric for metric in metrics},
        segments={segment.id: segment.name for segment in _select_active(entities.get("segment", ()))},
        attribute_sources=AttributeSources.from_schemas(
            _select_kind(entities, "customer_schema", CustomerSchema), find_referenced_attributes(entities)
        ),
        computed={offer.id: fields.list_computed(offer) for offer in offers},
        needs=_derive_needs([*policies, *suppressions], find_referenced_metrics(entities, metrics)),
        extensions=extensions or {},
        problems=problems,
        is_light=is_light(len(offers), entities),
    )


def _select_kind(entities: Mapping[str, Iterable[Entity]], kind: str, expected: type[E]) -> list[E]:
    return [entity for entity in entities.get(kind, ()) if isinstance(entity, expected)]


def _derive_needs(policies: Sequence[Policy], metrics: frozenset[str]) -> Needs:
    return Needs(
        windows=frozenset(window for policy in policies for window in policy.windows) | _CALENDAR_PERIODS,
        outcomes=frozenset(outcome for policy in policies for outcome in policy.outcomes),
        outcome_days=max((policy.outcome_days for policy in policies), default=0.0),
        contact_days=max((policy.contact_days for policy in policies), default=0.0),
        metrics=metrics,
    )


def _select_active(entities: Iterable[E]) -> list[E]:
    return [entity for entity in entities if entity.status is Status.ACTIVE]


def _sort_by_id(entity: Entity) -> str:
    return entity.id


def _sort_by_priority(entity: ContactPolicy | QualificationRule) -> tuple[int, str]:
    return -entity.priority, entity.id


def _group_by_offer(creatives: Iterable[Creative], channels: Mapping[str, Channel]) -> Mapping[str, Sequence[Creative]]:
    by_offer: dict[str, list[Creative]] = {}
    for creative in sorted(_select_active(creatives), key=_sort_by_id):
        if creative.channel_id in channels:
            by_offer.setdefault(creative.offer_id, []).append(creative)
    return by_offer


def _compile_rules(rules: Iterable[QualificationRule], members: ScopeMembers, problems: list[str]) -> list[Rule]:
    compiled: list[Rule] = []
    for rule in sorted(_select_active(rules), key=_sort_by_priority):
        try:
            _check_scopes(rule)
            compiled.append(compile_rule(rule, members))
        except (ConfigError, ConditionError) as error:
            compiled.append(make_blocking_rule(rule, members, str(error)))
            problems.append(f"qualification rule {rule.id} cannot be read and no customer fulfils it: {error}")
    return compiled


def _compile_policies(
    policies: Iterable[ContactPolicy], members: ScopeMembers, problems: list[str]
) -> tuple[list[Policy], list[tuple[ContactPolicy, str]]]:
    compiled: list[Policy] = []
    broken_policies: list[tuple[ContactPolicy, str]] = []
    for policy in sorted(_select_active(policies), key=_sort_by_priority):
        try:
            _check_scopes(policy)
            compiled.append(compile_policy(policy, members))
        except (ConfigError, ConditionError) as error:
            broken_policies.append((policy, str(error)))
            problems.append(f"contact policy {policy.id} cannot be read and blocks everything: {error}")
    return compiled, broken_policies


def _check_scopes(entity: ContactPolicy | QualificationRule) -> None:
    if faults := find_scope_faults(entity):
        raise ConfigError(*faults)


def _compile_flows(
    flows: Iterable[DecisionFlow], dependencies: FlowDependencies, problems: list[str]
) -> dict[str, Program]:
    programs: dict[str, Program] = {}
    for flow in flows:
        try:
            programs[flow.key] = compile_flow(flow, dependencies)
        except (ConfigError, ConditionError) as error:
            problems.append(f"flow {flow.key} cannot be run: {error}")
    return programs


def _compile_models(models: Iterable[Model], problems: list[str]) -> dict[str, Scorer]:
    scorers: dict[str, Scorer] = {}
    for model in models:
        try:
            scorers[model.key] = compile_model(model)
        except (ConfigError, ConditionError) as error:
            problems.append(f"model {model.key} cannot be asked and counts as failing: {error}")
    return scorers
