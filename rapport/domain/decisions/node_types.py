"""Types of the nodes of a decision flow, and their configs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from rapport.domain.catalogue.strategy import Node
from rapport.domain.conditions import Condition
from rapport.domain.configs import Config

MAX_NODES: Final = 100
MAX_DEPTH: Final = 5
MAX_CANDIDATES: Final = 50


class InventoryConfig(Config, frozen=True, kw_only=True):
    """Offers that a flow starts with; those in ``offer_ids`` are included whatever the scope."""

    scope: Literal["all", "category", "subcategory", "explicit"] = "all"
    category_ids: Sequence[str] = ()
    sub_category_ids: Sequence[str] = ()
    offer_ids: Sequence[str] = ()
    include_statuses: Sequence[str] = ("active",)


class MatchConfig(Config, frozen=True, kw_only=True):
    """Matching of creatives to the request.

    Attributes:
        require_creative: Whether offers without a fitting creative are removed.
        placement_match_mode: exact: creatives for the placement; any: also those for no placement in particular; none:
            the placement is ignored. Without a placement in the request, exact equals any.
    """

    require_creative: bool = True
    placement_match_mode: Literal["exact", "any", "none"] = "any"


class EnrichSource(Config, frozen=True, kw_only=True):
    """Schema of customer data and the fields to load from it; no fields: all."""

    schema_id: str = ""
    fields: Sequence[str] = ()
    cache_ttl_seconds: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 60
    prefix: str = "customer"


class EnrichConfig(Config, frozen=True, kw_only=True):
    """Customer data that the flow needs; without sources all attributes of the customer."""

    sources: Sequence[EnrichSource] = ()
    optional: bool = True
    lookup_key: str = "customer_id"


class FilterConfig(Config, frozen=True, kw_only=True):
    """Conditions that candidates must fulfil."""

    conditions: Annotated[Sequence[Condition], msgspec.Meta(min_length=1)]
    combinator: Literal["AND", "OR"] = "AND"


class ModeConfig(Config, frozen=True, kw_only=True):
    """Selection of the tenant's rules or policies: all, or those with the given ids."""

    mode: Literal["all", "explicit"] = "all"
    ids: Sequence[str] = ()


class ConditionalConfig(Config, frozen=True, kw_only=True):
    """Branch: conditions on the request and the customer choose which of two lists of nodes runs."""

    conditions: Annotated[Sequence[Condition], msgspec.Meta(min_length=1)]
    combinator: Literal["AND", "OR"] = "AND"
    then: Sequence[Node] = ()
    otherwise: Sequence[Node] = ()


class CallConfig(Config, frozen=True, kw_only=True):
    """Call of another flow: its nodes of the same phase run."""

    flow_key: str


class WeightedModel(Config, frozen=True, kw_only=True):
    """Model and its share of the traffic, in percent."""

    model_key: str
    weight: Annotated[float, msgspec.Meta(ge=0, le=100)] = 100


class ChampionChallengerConfig(Config, frozen=True, kw_only=True):
    """Assignment of customers to models: by an experiment, or by weights that add up to 100."""

    enabled: bool = True
    experiment_id: str = ""
    champion: WeightedModel | None = None
    challengers: Sequence[WeightedModel] = ()


class FormulaWeights(Config, frozen=True, kw_only=True):
    """Exponents of propensity, relevance, impact and emphasis; they add up to 1."""

    propensity_weight: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.4
    relevance_weight: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.2
    impact_weight: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.3
    emphasis_weight: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1


class StrategyOverride(Config, frozen=True, kw_only=True):
    """Ranking profile that replaces the node's own for some offers."""

    scope: Literal["category", "productType", "channel"]
    value: str
    profile_id: str


Amount = Annotated[float, msgspec.Meta(gt=0)]
REFERENCE_VALUE: Final = 100.0


class ScoreConfig(Config, frozen=True, kw_only=True):
    """Scoring of candidates.

    Attributes:
        expression: Formula of the score for method ``formula``; without it the weights are used.
        floor: Propensity below which candidates are removed.
        levers: Multipliers by offer or category id.
        reference_value: Margin or revenue value at which impact is 0.5.
    """

    method: Literal["priority_weighted", "propensity", "formula"] = "priority_weighted"
    model_key: str = ""
    formula: FormulaWeights | None = None
    expression: str = ""
    strategy_profile_id: str = ""
    strategy_overrides: Sequence[StrategyOverride] = ()
    champion_challenger: ChampionChallengerConfig | None = None
    shadow_model_keys: Sequence[str] = ()
    floor: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    levers: Mapping[str, Annotated[float, msgspec.Meta(ge=0)]] = {}
    reference_value: Amount = REFERENCE_VALUE


class OptimizeConfig(Config, frozen=True, kw_only=True):
    """Arbitration by the weighted objectives of a ranking profile; ``reference_value`` as in the score node."""

    profile_id: str = ""
    weights: Mapping[str, Annotated[float, msgspec.Meta(ge=0, le=1)]] = {}
    reference_value: Amount = REFERENCE_VALUE


class RankConfig(Config, frozen=True, kw_only=True):
    """Order of the candidates and maximum number that stay, see :mod:`.scoring.rank_node`."""

    method: Literal["top_score", "diversity", "round_robin"] = "diversity"
    max_candidates: Annotated[int, msgspec.Meta(ge=1, le=MAX_CANDIDATES)] = 5


class GroupConfig(Config, frozen=True, kw_only=True):
    """Allocation of candidates to the placements of a request."""

    method: Literal["greedy", "optimal"] = "greedy"


class ComputedField(Config, frozen=True, kw_only=True):
    """Value computed for each candidate."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    formula: str
    output_type: Literal["number", "text"] = "number"


class ComputeConfig(Config, frozen=True, kw_only=True):
    """Values to compute; the computed fields of the offers' categories are evaluated before."""

    fields: Sequence[ComputedField] = ()


class SetConfig(Config, frozen=True, kw_only=True):
    """Properties set on every candidate."""

    properties: Mapping[str, Any] = {}


class ResponseConfig(Config, frozen=True, kw_only=True):
    """Response format; there is only one."""

    response_format: Literal["standard"] = "standard"


class ExtensionConfig(Config, frozen=True, kw_only=True):
    """Extension point, at which a plug-in runs."""

    point: Literal["pre_score", "score_override", "post_rank"]


CONFIGS: Final[Mapping[str, type[Config]]] = {
    "inventory": InventoryConfig,
    "match_creatives": MatchConfig,
    "enrich": EnrichConfig,
    "qualify": ModeConfig,
    "contact_policy": ModeConfig,
    "filter": FilterConfig,
    "conditional": ConditionalConfig,
    "call_flow": CallConfig,
    "score": ScoreConfig,
    "optimize": OptimizeConfig,
    "rank": RankConfig,
    "group": GroupConfig,
    "compute": ComputeConfig,
    "set_properties": SetConfig,
    "response": ResponseConfig,
    "extension_point": ExtensionConfig,
}
NARROW, SCORE, OUTPUT = 1, 2, 3
PHASES: Final[Mapping[str, int]] = {
    **dict.fromkeys(
        ("inventory", "match_creatives", "enrich", "qualify", "contact_policy", "filter", "conditional"), NARROW
    ),
    **dict.fromkeys(("score", "optimize", "rank", "group"), SCORE),
    **dict.fromkeys(("compute", "set_properties", "response"), OUTPUT),
}
"""Phase of each node type; call_flow and extension_point may stand in any phase and are missing."""


BASE_NODES: Final[Sequence[Node]] = (
    Node(id="inventory", type="inventory", config={"scope": "all", "includeStatuses": ["active"]}),
    Node(
        id="match",
        type="match_creatives",
        config={"placementMatchMode": "exact", "requireCreative": False},
    ),
    Node(id="enrich", type="enrich", config={"optional": True, "lookupKey": "customer_id"}),
    Node(id="qualify", type="qualify", config={"mode": "all"}),
    Node(id="contact_policy", type="contact_policy", config={"mode": "all"}),
    Node(id="pre_score", type="extension_point", config={"point": "pre_score"}),
    Node(id="score", type="score", config={"method": "priority_weighted"}),
    Node(id="score_override", type="extension_point", config={"point": "score_override"}),
    Node(id="rank", type="rank", config={"method": "diversity", "maxCandidates": 5}),
    Node(id="post_rank", type="extension_point", config={"point": "post_rank"}),
    Node(id="response", type="response", config={"responseFormat": "standard"}),
)
"""Nodes of the base flow, as documented: the flow of a tenant that has none of its own."""
