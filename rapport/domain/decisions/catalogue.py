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
"""Gets copies of the candidates and gives back those that stay, in their order, with other scores or properties if it
likes. It must be pure, or decisions cannot be replayed."""


BASE_FLOW_KEY = "base"


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be known of a customer before this catalogue can decide.

    Attributes:
        windows: In which contacts are counted.
        outcomes: Whose latest times are asked for.
        outcome_days: From so many days ago on.
        contact_days: From so many days ago on the latest contacts are asked for.
        metrics: Keys of behavioral metrics.
    """

    windows: frozenset[Window] = frozenset()
    outcomes: frozenset[str] = frozenset()
    outcome_days: float = 0.0
    contact_days: float = 0.0
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
        suppressions: What follows from outcomes: the tenant's rules, or the defaults.
        flows: Those that may run, by key.
        programs: The same and the base flow, ready to run.
        compile: Compiles another flow of the tenant, such as a draft.
        firm_suppressions: Suppressions that no policy overrides; they hold in every flow.
        scorers: Models ready to score, by key; without those that cannot be read.
        segments: Names of active segments by id.
        attribute_sources: Whose word counts about customers' attributes.
        computed: The computed fields of offers, by offer: those of their categories, then of their sub-categories.
        extensions: Plug-ins by extension point.
        problems: What was left out, and why.
        is_light: Whether a decision over all of it takes no more than a few milliseconds, whatever the request.
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
    suppressions: Sequence[Policy]
    flows: Mapping[str, DecisionFlow]
    programs: Mapping[str, Program]
    compile: Callable[[DecisionFlow], Program]
    firm_suppressions: RuleIndex
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

    def program_of(self, flow: DecisionFlow) -> Program:
        """A flow ready to run: one of the catalogue's, or another that is made ready now.

        Raises:
            ConfigError: A node's config cannot be used.
            ConditionError: A condition in it cannot be evaluated.
        """
        known = self.programs.get(flow.key)
        if known is not None and (known.flow is flow or known.flow == flow):
            return known
        return self.compile(flow)

    def flow_for(self, key: str | None, channel_id: str | None, placement_id: str | None) -> DecisionFlow | None:
        """The flow of a request: by key, else by channel and placement, by channel, the default, the base flow.

        Returns:
            None if a key is given that no flow has which may run.
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
