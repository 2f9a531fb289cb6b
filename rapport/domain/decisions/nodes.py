"""The nodes of a decision flow: their types, what they can be told, and what makes a flow valid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from rapport.domain.catalogue.strategy import Node
from rapport.domain.decisions.conditions import Condition, ConditionError, compile_condition
from rapport.domain.decisions.configs import Config, ConfigError, read_config

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


class ScoreConfig(Config, frozen=True, kw_only=True):
    """How candidates are scored.

    Attributes:
        expression: A formula that gives the score, for method ``formula``; without it the weights are used.
        floor: Candidates with a propensity below it are dropped.
        levers: Multipliers by offer or category id.
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


class OptimizeConfig(Config, frozen=True, kw_only=True):
    """Replaces scores by the weighted objectives of a ranking profile."""

    profile_id: str = ""
    weights: Mapping[str, Annotated[float, msgspec.Meta(ge=0, le=1)]] = {}


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


def find_flaws(nodes: Sequence[Node], known_flows: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Everything that is wrong with a flow: (id of the node, what is wrong and what would be right).

    Args:
        nodes: In their order.
        known_flows: Keys that ``call_flow`` may name.
    """
    flaws: list[tuple[str, str]] = []
    if len(nodes) > MAX_NODES:
        flaws.append(("", f"{len(nodes)} nodes are too many; {MAX_NODES} are allowed"))
    ids = [node.id for node in _all_nodes(nodes)]
    flaws += [(one, "the id occurs twice") for one in sorted({one for one in ids if ids.count(one) > 1})]
    for node in _all_nodes(nodes):
        flaws += [(node.id, flaw) for flaw in _flaws_of(node, frozenset(known_flows))]
    return flaws + list(_flaws_of_order(nodes))


def _all_nodes(nodes: Sequence[Node], depth: int = 0) -> Iterator[Node]:
    for node in nodes:
        yield node
        if node.type == "conditional" and depth < MAX_DEPTH:
            for branch in ("then", "otherwise"):
                inner = node.config.get(branch, ())
                try:
                    yield from _all_nodes(msgspec.convert(inner, Sequence[Node]), depth + 1)
                except msgspec.ValidationError:
                    continue  # said of the conditional itself


def _flaws_of(node: Node, known_flows: frozenset[str]) -> Iterator[str]:
    if node.type not in CONFIGS:
        yield f"type {node.type!r} is not known; known are {', '.join(CONFIGS)}"
        return
    try:
        config = read_config(node.config, CONFIGS[node.type])
    except ConfigError as error:
        yield str(error)
        return
    for condition in getattr(config, "conditions", ()):
        try:
            compile_condition(condition)
        except ConditionError as error:
            yield str(error)
    if isinstance(config, ConditionalConfig):
        yield from (
            f"{inner.type} does not belong into a conditional of the first phase"
            for inner in (*config.then, *config.otherwise)
            if PHASES.get(inner.type, NARROW) != NARROW or inner.type == "inventory"
        )
    if isinstance(config, CallConfig) and known_flows and config.flow_key not in known_flows:
        yield f"there is no flow {config.flow_key!r}; known are {', '.join(sorted(known_flows))}"
    if isinstance(config, ScoreConfig) and config.formula is not None:
        total = sum(getattr(config.formula, field.name) for field in msgspec.structs.fields(config.formula))
        if abs(total - 1) > 1e-6:
            yield f"the weights of the formula add up to {total:g}, not to 1"


def _flaws_of_order(nodes: Sequence[Node]) -> Iterator[tuple[str, str]]:
    if not nodes or nodes[0].type != "inventory":
        yield (nodes[0].id if nodes else "", "a flow begins with an inventory node")
    for kind in ("inventory", "response"):
        found = [node.id for node in nodes if node.type == kind]
        if len(found) != 1:
            yield (found[1] if found else "", f"a flow has exactly one {kind} node, this one has {len(found)}")
    if nodes and nodes[-1].type != "response":
        yield (nodes[-1].id, "a flow ends with its response node")
    reached = NARROW
    for node in nodes:
        phase = PHASES.get(node.type)
        if phase is None:
            continue
        if phase < reached:
            yield (node.id, f"{node.type} belongs before the nodes of a later phase")
        reached = max(reached, phase)
    if not any(node.type == "score" for node in nodes):
        yield ("", "a flow has a score node")
