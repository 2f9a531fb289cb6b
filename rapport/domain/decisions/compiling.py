"""A tenant's catalogue made ready for decisions: once per version of it, not once per request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

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
from rapport.domain.catalogue.values import Entity, Status
from rapport.domain.decisions.conditions import ConditionError
from rapport.domain.decisions.configs import ConfigError
from rapport.domain.decisions.nodes import BASE_NODES
from rapport.domain.decisions.policies import Policy, compile_policy
from rapport.domain.decisions.rules import Rule, compile_rule
from rapport.domain.decisions.scopes import Members
from rapport.domain.decisions.windows import Kind, Unit, Window

E = TypeVar("E", bound=Entity)
BASE_FLOW_KEY = "base"
_OFFER_CAPS = frozenset(Window(Kind.CALENDAR, unit) for unit in (Unit.DAY, Unit.WEEK, Unit.MONTH))
"""Offers have caps of their own, per calendar period."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be known of a customer before this catalogue can decide.

    Attributes:
        windows: In which contacts are counted.
        outcomes: Whose latest times are asked for.
        metrics: Keys of behavioral metrics.
    """

    windows: frozenset[Window] = frozenset()
    outcomes: frozenset[str] = frozenset()
    metrics: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """A tenant's configuration, ready.

    Attributes:
        stamp: Tells versions of the whole catalogue apart.
        offers: All that exist, whatever their status, by id.
        creatives: The active ones, by offer, ordered by id.
        rules: Active ones, highest priority first.
        policies: Likewise.
        broken: Policies that cannot be read: whatever they might block, they do.
        flows: Nodes of the flows that may run, by key.
        problems: What was left out, and why.
    """

    stamp: str
    offers: Mapping[str, Offer]
    creatives: Mapping[str, Sequence[Creative]]
    channels: Mapping[str, Channel]
    placements: Mapping[str, Placement]
    categories: Mapping[str, Category]
    sub_categories: Mapping[str, SubCategory]
    rules: Sequence[Rule]
    policies: Sequence[Policy]
    broken: Sequence[tuple[ContactPolicy, str]]
    flows: Mapping[str, DecisionFlow]
    models: Mapping[str, Model]
    profiles: Mapping[str, RankingProfile]
    experiments: Mapping[str, Experiment]
    metrics: Mapping[str, MetricDefinition]
    needs: Needs
    problems: Sequence[str] = field(default_factory=tuple)

    def flow_for(self, key: str | None, channel_id: str | None, placement_id: str | None) -> DecisionFlow | None:
        """The flow of a request: by key, else by channel and placement, by channel, the default, the base flow.

        Returns:
            None if a key is given that no published flow has.
        """
        if key is not None:
            return BASE_FLOW if key == BASE_FLOW_KEY and key not in self.flows else self.flows.get(key)
        routed = [(flow, route) for flow in self.flows.values() for route in flow.routes]
        for wanted in (placement_id, None):
            found = [
                flow
                for flow, route in routed
                if channel_id is not None and route.channel_id == channel_id and route.placement_id == wanted
            ]
            if found:
                return min(found, key=lambda flow: flow.id)
        defaults = [flow for flow in self.flows.values() if flow.is_default]
        return min(defaults, key=lambda flow: flow.id) if defaults else BASE_FLOW


BASE_FLOW = DecisionFlow(
    id="base", key=BASE_FLOW_KEY, name="Base NBA Flow", published=BASE_NODES, published_version=1, is_default=True
)
"""What a tenant without flows decides by."""


def compile_catalogue(stamp: str, entities: Mapping[str, Iterable[Entity]]) -> Catalogue:
    """Make a catalogue ready.

    Args:
        stamp: Of this version.
        entities: By kind (:data:`rapport.domain.catalogue.kinds.KINDS`); deleted ones left out.
    """
    offers = _of(entities, "offer", Offer)
    creatives = _of(entities, "creative", Creative)
    channels = {c.id: c for c in _active(_of(entities, "channel", Channel))}
    members = Members.of(offers, creatives)
    problems: list[str] = []
    rules = _compile_rules(_of(entities, "qualification_rule", QualificationRule), members, problems)
    policies, broken = _compile_policies(_of(entities, "contact_policy", ContactPolicy), members, problems)
    flows = [flow for flow in _active(_of(entities, "decision_flow", DecisionFlow)) if flow.published_version]
    metrics = _active(_of(entities, "metric", MetricDefinition))
    by_offer: dict[str, list[Creative]] = {}
    for creative in sorted(_active(creatives), key=lambda one: one.id):
        if creative.channel_id in channels:
            by_offer.setdefault(creative.offer_id, []).append(creative)
    return Catalogue(
        stamp=stamp,
        offers={offer.id: offer for offer in offers},
        creatives=by_offer,
        channels=channels,
        placements={one.id: one for one in _active(_of(entities, "placement", Placement))},
        categories={one.id: one for one in _of(entities, "category", Category)},
        sub_categories={one.id: one for one in _of(entities, "sub_category", SubCategory)},
        rules=rules,
        policies=policies,
        broken=broken,
        flows={flow.key: flow for flow in flows},
        models={model.key: model for model in _active(_of(entities, "model", Model))},
        profiles={one.id: one for one in _active(_of(entities, "ranking_profile", RankingProfile))},
        experiments={one.id: one for one in _active(_of(entities, "experiment", Experiment))},
        metrics={metric.key: metric for metric in metrics},
        needs=Needs(
            windows=frozenset(window for policy in policies for window in policy.windows) | _OFFER_CAPS,
            outcomes=frozenset(outcome for policy in policies for outcome in policy.outcomes),
            metrics=frozenset(metric.key for metric in metrics),
        ),
        problems=problems,
    )


def _of(entities: Mapping[str, Iterable[Entity]], kind: str, expected: type[E]) -> list[E]:
    return [one for one in entities.get(kind, ()) if isinstance(one, expected)]


def _active(entities: Iterable[E]) -> list[E]:
    return [one for one in entities if one.status is Status.ACTIVE]


def _by_priority(entity: ContactPolicy | QualificationRule) -> tuple[int, str]:
    return -entity.priority, entity.id


def _compile_rules(rules: Iterable[QualificationRule], members: Members, problems: list[str]) -> list[Rule]:
    compiled: list[Rule] = []
    for rule in sorted(_active(rules), key=_by_priority):
        try:
            compiled.append(compile_rule(rule, members))
        except (ConfigError, ConditionError) as error:
            problems.append(f"qualification rule {rule.id} is not applied: {error}")
    return compiled


def _compile_policies(
    policies: Iterable[ContactPolicy], members: Members, problems: list[str]
) -> tuple[list[Policy], list[tuple[ContactPolicy, str]]]:
    compiled: list[Policy] = []
    broken: list[tuple[ContactPolicy, str]] = []
    for policy in sorted(_active(policies), key=_by_priority):
        try:
            compiled.append(compile_policy(policy, members))
        except (ConfigError, ConditionError) as error:
            broken.append((policy, str(error)))
            problems.append(f"contact policy {policy.id} cannot be read and blocks everything: {error}")
    return compiled, broken
