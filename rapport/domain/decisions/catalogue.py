"""A tenant's catalogue, indexed and compiled for decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from rapport.domain.catalogue.inventory import Category, Channel, Creative, Offer, Placement, SubCategory
from rapport.domain.catalogue.strategy import (
    ContactPolicy,
    DecisionFlow,
    Experiment,
    MetricDefinition,
    Model,
    RankingProfile,
)
from rapport.domain.decisions.candidate_columns import CandidateColumns
from rapport.domain.decisions.candidates import Candidate, Context
from rapport.domain.decisions.eligibility.policies import Policy
from rapport.domain.decisions.eligibility.rule_index import RuleIndex
from rapport.domain.decisions.eligibility.rules import Rule
from rapport.domain.decisions.model import Scorer
from rapport.domain.decisions.node_types import BASE_NODES
from rapport.domain.decisions.program import Program
from rapport.domain.decisions.windows import Window
from rapport.domain.formulas import Formula
from rapport.domain.profiles.attribute_sources import AttributeSources

Extension: TypeAlias = Callable[[Sequence[Candidate], Context], Iterable[Candidate]]
"""Plug-in: takes copies of the candidates and returns those to keep, in their new order; it may change scores and
properties. It must be pure, or decisions cannot be replayed."""


BASE_FLOW_KEY = "base"


@dataclass(frozen=True, slots=True)
class Needs:
    """Customer facts that the rules, policies and flows of a catalogue read, loaded before each decision.

    Attributes:
        windows: Windows in which contacts are counted.
        outcomes: Outcomes whose latest times are needed.
        outcome_days: Reach of ``outcomes`` into the past, in days.
        contact_days: Reach of the latest contacts into the past, in days.
        metrics: Keys of behavioral metrics.
    """

    windows: frozenset[Window] = frozenset()
    outcomes: frozenset[str] = frozenset()
    outcome_days: float = 0.0
    contact_days: float = 0.0
    metrics: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Catalogue of a tenant, compiled for decisions.

    Attributes:
        stamp: Version of the whole catalogue.
        offers: All offers by id, whatever their status.
        creatives: Active creatives by offer id, ordered by id.
        columns: Columns of the possible candidates.
        rules: Active qualification rules, highest priority first.
        policies: Active contact policies, highest priority first.
        broken_policies: Policies that cannot be compiled, with the fault; they block every candidate.
        suppressions: Suppression rules as policies: the tenant's, or the defaults.
        flows: Published active flows that can be compiled, by key.
        programs: Compiled flows by key, the base flow included.
        compile: Compiles another flow of the tenant, such as a draft.
        unconditional_suppressions: Suppressions that apply even to overridden and mandatory offers, in every flow.
        scorers: Compiled models by key, without those that cannot be compiled.
        segments: Names of active segments by id.
        attribute_sources: Sources of customer attributes: which ones requests may set.
        computed: Computed fields by offer id: those of its category, then those of its sub-category.
        extensions: Plug-ins by extension point.
        problems: Parts of the configuration that were left out, with reasons.
        is_light: Whether every decision takes at most a few milliseconds, whatever the request.
    """

    stamp: str
    offers: Mapping[str, Offer]
    creatives: Mapping[str, Sequence[Creative]]
    columns: CandidateColumns
    channels: Mapping[str, Channel]
    placements: Mapping[str, Placement]
    categories: Mapping[str, Category]
    sub_categories: Mapping[str, SubCategory]
    rules: Sequence[Rule]
    policies: Sequence[Policy]
    broken_policies: Sequence[tuple[ContactPolicy, str]]
    suppressions: Sequence[Policy]
    flows: Mapping[str, DecisionFlow]
    programs: Mapping[str, Program]
    compile: Callable[[DecisionFlow], Program]
    unconditional_suppressions: RuleIndex
    models: Mapping[str, Model]
    scorers: Mapping[str, Scorer]
    profiles: Mapping[str, RankingProfile]
    experiments: Mapping[str, Experiment]
    metrics: Mapping[str, MetricDefinition]
    segments: Mapping[str, str]
    attribute_sources: AttributeSources
    computed: Mapping[str, Sequence[tuple[str, Formula]]]
    needs: Needs
    extensions: Mapping[str, Extension] = field(default_factory=dict)
    problems: Sequence[str] = ()
    is_light: bool = False

    def get_program(self, flow: DecisionFlow) -> Program:
        """Return the compiled flow: the catalogue's own, or one that is compiled now.

        Raises:
            ConfigError: A node's config cannot be used.
            ConditionError: A condition in it cannot be evaluated.
        """
        program = self.programs.get(flow.key)
        if program is not None and (program.flow is flow or program.flow == flow):
            return program
        return self.compile(flow)

    def choose_flow(self, key: str | None, channel_id: str | None, placement_id: str | None) -> DecisionFlow | None:
        """Return the flow of a request: by key, else by channel and placement, by channel, the default, the base flow.

        None if no flow that can run has the given key.
        """
        if key is not None:
            return BASE_FLOW if key == BASE_FLOW_KEY and key not in self.flows else self.flows.get(key)
        routed = [(flow, route) for flow in self.flows.values() for route in flow.routes]
        for wanted in (placement_id, None):
            matching = [
                flow
                for flow, route in routed
                if channel_id is not None and route.channel_id == channel_id and route.placement_id == wanted
            ]
            if matching:
                return min(matching, key=lambda flow: flow.id)
        defaults = [flow for flow in self.flows.values() if flow.is_default]
        return min(defaults, key=lambda flow: flow.id) if defaults else BASE_FLOW


BASE_FLOW = DecisionFlow(
    id="base", key=BASE_FLOW_KEY, name="Base NBA Flow", published=BASE_NODES, published_version=1, is_default=True
)
"""Flow of a tenant that has no default flow of its own."""
