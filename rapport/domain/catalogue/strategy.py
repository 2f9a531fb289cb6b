"""Decision strategy: rules, policies, flows, models, experiments, metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from rapport.domain.catalogue.values import (
    Count,
    Entity,
    Id,
    Key,
    Percent,
    Priority,
    Scope,
    ScopeKind,
    Share,
    Value,
)


class RuleStage(StrEnum):
    """Stage of a qualification rule: failing eligibility or fit removes the offer, failing match lowers its score."""

    ELIGIBILITY = "eligibility"
    FIT = "fit"
    MATCH = "match"


class QualificationRule(Entity, frozen=True):
    """Rule for the customers who may get an offer.

    Attributes:
        scopes: Entities it applies to; if empty, ``scope`` and ``scope_id`` name one.
        config: Depends on ``rule_type``; see :mod:`rapport.domain.decisions.eligibility.rules`.
        multiplier: Factor of the score when a rule of stage match fails.
    """

    rule_type: Literal[
        "segment_required",
        "attribute_condition",
        "propensity_threshold",
        "recency_check",
        "metric_condition",
        "offer_attribute",
    ]
    config: Mapping[str, Any] = {}
    scope: ScopeKind = ScopeKind.GLOBAL
    scope_id: str | None = None
    scopes: Sequence[Scope] = ()
    stage: RuleStage = RuleStage.ELIGIBILITY
    priority: Priority = 50
    multiplier: Annotated[float, msgspec.Meta(ge=0.1, le=1)] = 0.5


POLICY_TYPES: Final = (
    "frequency_cap",
    "cooldown",
    "budget_exhausted",
    "outcome_based",
    "segment_exclusion",
    "time_window",
    "mutual_exclusion",
    "cross_channel_cap",
    "customer_total_cap",
    "allow_override",
    "category_suppression",
    "metric_condition",
)


class ContactPolicy(Entity, frozen=True):
    """Policy that limits contacts with a customer.

    Attributes:
        config: Depends on ``rule_type``; see :mod:`rapport.domain.decisions.eligibility.policies`.
        scopes: Entities it applies to; if empty, ``scope`` and ``scope_id`` name one.
    """

    rule_type: Literal[
        "frequency_cap",
        "cooldown",
        "budget_exhausted",
        "outcome_based",
        "segment_exclusion",
        "time_window",
        "mutual_exclusion",
        "cross_channel_cap",
        "customer_total_cap",
        "allow_override",
        "category_suppression",
        "metric_condition",
    ]
    config: Mapping[str, Any] = {}
    scope: ScopeKind = ScopeKind.OFFER
    scope_id: str | None = None
    scopes: Sequence[Scope] = ()
    priority: Priority = 50


class Node(Value, frozen=True):
    """Node of a flow; ``config`` depends on ``type``, see :mod:`rapport.domain.decisions.node_types`."""

    id: Key
    type: str
    config: Mapping[str, Any] = {}


class Route(Value, frozen=True):
    """Route to a flow: requests for this channel, and placement if given, take it."""

    channel_id: str
    placement_id: str | None = None


RequiredNode: TypeAlias = Literal["match_creatives", "qualify", "contact_policy"]
"""Type of a node that every flow runs, unless it skips it explicitly."""
REQUIRED_NODES: Final[Sequence[RequiredNode]] = ("match_creatives", "qualify", "contact_policy")


class DecisionFlow(Entity, frozen=True):
    """Flow of nodes in three phases. The draft is edited; requests run the published version.

    Attributes:
        key: Name in requests.
        draft: Nodes being edited.
        published: Nodes that requests run; empty until the flow is published.
        published_version: Ascends with each publishing; 0 until then.
        is_default: Taken by requests that neither name a flow nor match a route.
        skip: Required nodes that the flow goes without. One that is neither among its nodes nor here runs all the same.
    """

    key: Key
    draft: Sequence[Node] = ()
    published: Sequence[Node] = ()
    published_version: int = 0
    routes: Sequence[Route] = ()
    is_default: bool = False
    skip: Sequence[RequiredNode] = ()
    coupling_override: Literal["partial", "atomic"] | None = None


class RankingProfile(Entity, frozen=True):
    """Weights of objectives (propensity, relevance, impact, emphasis …), each from 0 to 1."""

    key: Key
    weights: Mapping[str, Share]


class ScorecardRule(Value, frozen=True):
    """Condition of a scorecard with its points."""

    id: Key
    field: str
    operator: Literal["eq", "neq", "gt", "gte", "lt", "lte", "in", "not_in", "contains", "starts_with"]
    value: Any
    points: float
    description: str = ""


class Model(Entity, frozen=True):
    """Model that scores offers from 0 to 1.

    Attributes:
        config: Depends on ``model_type``; see :mod:`rapport.domain.decisions.scoring.models.compile`.
    """

    key: Key
    model_type: Literal["scorecard", "logistic_regression", "thompson_bandit", "epsilon_greedy"]
    config: Mapping[str, Any] = {}


class Challenger(Value, frozen=True):
    """Challenger model with its share of the traffic."""

    model_id: Id
    traffic_pct: Percent


class TrafficSplit(Value, frozen=True):
    """The champion's share of the traffic."""

    champion_pct: Percent = 80


class Experiment(Entity, frozen=True):
    """Champion against challengers, with a holdout. The champion's and the challengers' shares add up to 100."""

    key: Key
    champion_model_id: Id
    traffic_split: TrafficSplit = TrafficSplit()
    challengers: Sequence[Challenger] = ()
    holdout_percent: Percent = 0
    min_samples: Count = 50


class MetricDefinition(Entity, frozen=True):
    """Behavioral metric: a number per customer, computed from the history.

    Attributes:
        source_field: Aggregated values: ``*`` for events, or ``conversion_value``.
        window_days: Rolling window; null for all time.
        filter_conditions: Accepted values by column of the history: outcome, classification, category, offerId,
            creativeId, channelId, direction.
    """

    key: Key
    aggregate_function: Literal["count", "sum", "avg", "min", "max"] = "count"
    source_field: Literal["*", "conversion_value"] = "*"
    window_days: Annotated[int, msgspec.Meta(ge=1, le=3_650)] | None = None
    filter_conditions: Mapping[str, Sequence[str]] = {}
