"""Linter of eligibility: nodes that flows leave out or skip, and values that decide who is eligible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from rapport.domain.catalogue.customer_schema import CustomerSchema
from rapport.domain.catalogue.inventory import Budget, Channel, Creative, FrequencyCaps, Offer
from rapport.domain.catalogue.strategy import (
    REQUIRED_NODES,
    ContactPolicy,
    DecisionFlow,
    Experiment,
    QualificationRule,
    RuleStage,
)
from rapport.domain.catalogue.values import ScopeKind, Status
from rapport.domain.catalogue_checks.warnings import LintWarning
from rapport.domain.decisions.eligibility.scopes import EACH, scopes_of
from rapport.domain.decisions.flow_checks import list_nodes
from rapport.domain.decisions.node_types import MAX_DEPTH
from rapport.domain.profiles.attribute_sources import AttributeSources
from rapport.domain.profiles.segments import Segment

if TYPE_CHECKING:
    from rapport.domain.catalogue.values import Entity
    from rapport.domain.catalogue_checks.validate import Entities

_WORDS: Final = {
    "match_creatives": "active creatives",
    "qualify": "active qualification rules",
    "contact_policy": "active contact policies, caps and budgets",
}
_SENT: Final = ("attributes.", "request.")


def lint_eligibility_steps(entities: Entities, flows: Sequence[DecisionFlow]) -> Iterator[LintWarning]:
    """Find eligibility nodes that flows leave out or skip although active entities apply, or that run too early."""
    applying = {kind: _count_applicable(entities, kind) for kind in REQUIRED_NODES}
    by_key = {flow.key: flow for flow in flows}
    for flow in flows:
        if flow.id == "base" and flow not in entities.get("decision_flow", ()):
            continue
        types = [node.type for node in list_nodes(flow.published)]
        reached = set(_list_node_types(flow, by_key, 0))
        for kind in REQUIRED_NODES:
            if not applying[kind]:
                continue
            what = f"{applying[kind]} {_WORDS[kind]}"
            if kind in flow.skip:
                message = f"{what} do not hold in this flow, because skip names {kind}"
                yield LintWarning("gate_skipped", "decision_flow", flow.id, "skip", message)
            elif kind not in reached:
                message = f"it has no {kind} node although there are {what}: they hold all the same, before scoring"
                yield LintWarning("gate_left_out", "decision_flow", flow.id, "published", message)
        early = [kind for kind in ("qualify", "contact_policy") if kind in types and "match_creatives" in types]
        for kind in early:
            if types.index(kind) < types.index("match_creatives"):
                message = (
                    f"{kind} comes before match_creatives: what is about creatives and channels does not hold in it"
                )
                yield LintWarning("gate_too_early", "decision_flow", flow.id, "published", message)


def lint_sources(entities: Entities, flows: Sequence[DecisionFlow]) -> Iterator[LintWarning]:
    """Find channels, experiments, segments and rules that do not do what they seem to do."""
    creatives = [creative for creative in _select_active(entities, "creative") if isinstance(creative, Creative)]
    for channel in _select_active(entities, "channel"):
        if isinstance(channel, Channel) and channel.channel_type is None:
            message = "it has no type: it is shown only to customers who have consented to every type of channel"
            yield LintWarning("channel_without_type", "channel", channel.id, "channelType", message)
        if not any(creative.channel_id == channel.id for creative in creatives):
            message = "no active creative is for it, so that nothing can be shown on it"
            yield LintWarning("channel_without_creatives", "channel", channel.id, "", message)
    experiment_ids = {
        node.config["championChallenger"].get("experimentId")
        for flow in flows
        for node in list_nodes(flow.published)
        if isinstance(node.config.get("championChallenger"), Mapping)
    }
    for experiment in _select_active(entities, "experiment"):
        if isinstance(experiment, Experiment) and experiment_ids.isdisjoint((experiment.id, experiment.key)):
            message = "no score node of a flow that requests can run uses it, so that no customer takes part"
            yield LintWarning("experiment_never_asked", "experiment", experiment.id, "", message)
    for segment in _select_active(entities, "segment"):
        if isinstance(segment, Segment) and not segment.filters:
            yield LintWarning("segment_without_filters", "segment", segment.id, "filters", "no customer is in it")
    yield from _lint_segment_names(entities)
    yield from _lint_rules(entities)
    yield from _lint_overrides(entities)


def _lint_segment_names(entities: Entities) -> Iterator[LintWarning]:
    known = {name for segment in _select_active(entities, "segment") for name in (segment.id, segment.name)}
    for kind, config_field in (("qualification_rule", "requiredSegments"), ("contact_policy", "excludeSegments")):
        for entity in _select_active(entities, kind):
            if not isinstance(entity, QualificationRule | ContactPolicy):
                continue
            listed = entity.config.get(config_field, ())
            named = {name: f"config.{config_field}" for name in listed if isinstance(name, str)} if listed else {}
            for scope in scopes_of(entity):
                if scope.scope is ScopeKind.SEGMENT and scope.scope_id and scope.scope_id != EACH:
                    named[scope.scope_id] = "scopes" if entity.scopes else "scopeId"
            for name, path in named.items():
                if name not in known:
                    message = f"there is no active segment {name!r}: only who is in it by a request's own word is"
                    yield LintWarning("segment_unknown", kind, entity.id, path, message)


def _lint_rules(entities: Entities) -> Iterator[LintWarning]:
    schemas = [schema for schema in _select_active(entities, "customer_schema") if isinstance(schema, CustomerSchema)]
    sources = AttributeSources.from_schemas(schemas)
    for rule in _select_active(entities, "qualification_rule"):
        if not isinstance(rule, QualificationRule) or rule.stage is not RuleStage.ELIGIBILITY:
            continue
        if rule.config.get("onMissing") == "pass":
            message = "who has no such value is eligible: what is not known passes"
            yield LintWarning("missing_value_passes", "qualification_rule", rule.id, "config.onMissing", message)
        named = rule.config.get("attribute") if rule.rule_type in ("attribute_condition", "recency_check") else None
        if not isinstance(named, str):
            continue
        name = named.removeprefix("customer.")
        if named.startswith(_SENT) or ("." not in name and sources.source_of(name) != "stored"):
            message = f"{named} comes from the request, so that its sender decides who is eligible"
            yield LintWarning("request_decides", "qualification_rule", rule.id, "config.attribute", message)
        elif "." not in name and sources.declared and name not in sources.declared:
            message = f"no active customer schema has a field {name!r}; whoever is stored without it is not eligible"
            yield LintWarning("attribute_unknown", "qualification_rule", rule.id, "config.attribute", message)


def _lint_overrides(entities: Entities) -> Iterator[LintWarning]:
    for policy in _select_active(entities, "contact_policy"):
        if not isinstance(policy, ContactPolicy) or policy.rule_type != "allow_override":
            continue
        for index, condition in enumerate(policy.config.get("conditions", ())):
            named = condition.get("field") if isinstance(condition, Mapping) else None
            if isinstance(named, str) and named.startswith(_SENT):
                path = f"config.conditions[{index}].field"
                message = f"{named} comes from the request, so that its sender lifts all contact policies"
                yield LintWarning("request_decides", "contact_policy", policy.id, path, message)


def _count_applicable(entities: Entities, kind: str) -> int:
    if kind == "match_creatives":
        return len(_select_active(entities, "creative"))
    if kind == "qualify":
        return len(_select_active(entities, "qualification_rule"))
    limited = (
        offer
        for offer in _select_active(entities, "offer")
        if isinstance(offer, Offer) and (offer.frequency_caps != FrequencyCaps() or offer.budget != Budget())
    )
    return len(_select_active(entities, "contact_policy")) + sum(1 for _ in limited)


def _list_node_types(flow: DecisionFlow, flows: Mapping[str, DecisionFlow], depth: int) -> Iterator[str]:
    """Iterate over the types of all nodes that a flow can run, including those of flows that it calls."""
    for node in list_nodes(flow.published):
        yield node.type
        called = flows.get(str(node.config.get("flowKey"))) if node.type == "call_flow" else None
        if called is not None and depth < MAX_DEPTH:
            yield from _list_node_types(called, flows, depth + 1)


def _select_active(entities: Entities, kind: str) -> list[Entity]:
    return [entity for entity in entities.get(kind, ()) if entity.status is Status.ACTIVE]
