"""The nodes of a decision flow: their types, and what they can be told."""

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
    """Which offers a flow begins with; ``offer_ids`` is a list of its own, whatever the scope says."""

    scope: Literal["all", "category", "subcategory", "explicit"] = "all"
    category_ids: Sequence[str] = ()
    sub_category_ids: Sequence[str] = ()
    offer_ids: Sequence[str] = ()
    include_statuses: Sequence[str] = ("active",)


class MatchConfig(Config, frozen=True, kw_only=True):
    """Which creatives fit the request.

    Attributes:
        require_creative: Whether an offer without one is dropped.
        placement_match_mode: exact: made for the placement; any: or for none in particular; none: the placement is not
            looked at. Without a placement in the request exact is as any.
    """

    require_creative: bool = True
    placement_match_mode: Literal["exact", "any", "none"] = "any"


class EnrichSource(Config, frozen=True, kw_only=True):
    """A schema of customer data, and which of its fields are wanted; none: all."""

    schema_id: str = ""
    fields: Sequence[str] = ()
    cache_ttl_seconds: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 60
    prefix: str = "customer"


class EnrichConfig(Config, frozen=True, kw_only=True):
    """Which customer data the flow needs; without sources all of the customer's attributes."""

    sources: Sequence[EnrichSource] = ()
    optional: bool = True
    lookup_key: str = "customer_id"


class FilterConfig(Config, frozen=True, kw_only=True):
    """Keeps candidates whose fields fulfil the conditions."""

    conditions: Annotated[Sequence[Condition], msgspec.Meta(min_length=1)]
    combinator: Literal["AND", "OR"] = "AND"


class ModeConfig(Config, frozen=True, kw_only=True):
    """Which of the tenant's rules or policies are applied: all, or those named."""

    mode: Literal["all", "explicit"] = "all"
    ids: Sequence[str] = ()


class ConditionalConfig(Config, frozen=True, kw_only=True):
    """Runs one of two lists of nodes, by conditions on the request and the customer."""

    conditions: Annotated[Sequence[Condition], msgspec.Meta(min_length=1)]
    combinator: Literal["AND", "OR"] = "AND"
    then: Sequence[Node] = ()
    otherwise: Sequence[Node] = ()


class CallConfig(Config, frozen=True, kw_only=True):
    """Runs the nodes of another flow that belong to the same phase."""

    flow_key: str


class WeightedModel(Config, frozen=True, kw_only=True):
    """A model and its share of the traffic."""

    model_key: str
    weight: Annotated[float, msgspec.Meta(ge=0, le=100)] = 100


class ChampionChallengerConfig(Config, frozen=True, kw_only=True):
    """Which model scores whom: by an experiment, or by weights that add up to 100."""

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
    """Another ranking profile for some offers."""

    scope: Literal["category", "productType", "channel"]
    value: str
    profile_id: str


Amount = Annotated[float, msgspec.Meta(gt=0)]
REFERENCE_VALUE: Final = 100.0


class ScoreConfig(Config, frozen=True, kw_only=True):
    """How candidates are scored.

    Attributes:
        expression: A formula that gives the score, for method ``formula``; without it the weights are used.
        floor: Candidates with a propensity below it are dropped.
        levers: Multipliers by offer or category id.
        reference_value: The margin or revenue value at which impact is 0.5.
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
    """Replaces scores by the weighted objectives of a ranking profile; ``reference_value`` as of the score node."""

    profile_id: str = ""
    weights: Mapping[str, Annotated[float, msgspec.Meta(ge=0, le=1)]] = {}
    reference_value: Amount = REFERENCE_VALUE


class RankConfig(Config, frozen=True, kw_only=True):
    """In which order candidates go, and how many stay."""

    method: Literal["top_score", "diversity", "round_robin"] = "diversity"
    max_candidates: Annotated[int, msgspec.Meta(ge=1, le=MAX_CANDIDATES)] = 5


class GroupConfig(Config, frozen=True, kw_only=True):
    """How candidates are spread over the placements of a request."""

    method: Literal["greedy", "optimal"] = "greedy"


class ComputedField(Config, frozen=True, kw_only=True):
    """A value worked out per candidate."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    formula: str
    output_type: Literal["number", "text"] = "number"


class ComputeConfig(Config, frozen=True, kw_only=True):
    """Which values are worked out; the offers' own computed fields come first."""

    fields: Sequence[ComputedField] = ()


class SetConfig(Config, frozen=True, kw_only=True):
    """Properties that every candidate gets."""

    properties: Mapping[str, Any] = {}


class ResponseConfig(Config, frozen=True, kw_only=True):
    """How the answer looks; there is one form."""

    response_format: Literal["standard"] = "standard"


class ExtensionConfig(Config, frozen=True, kw_only=True):
    """A named place where a plug-in may act."""

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
"""call_flow and extension_point may stand in any phase."""


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
"""The flow of a tenant that has none of its own, as documented."""
