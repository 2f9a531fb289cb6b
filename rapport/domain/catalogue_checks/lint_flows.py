"""Linter of flows: the offers that they can return at all, and flows that can never return anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from rapport.domain.catalogue.inventory import Channel, Creative, Offer, Placement
from rapport.domain.catalogue.plain import to_full_fields
from rapport.domain.catalogue.strategy import DecisionFlow, Node
from rapport.domain.catalogue.values import ScopeKind, Status
from rapport.domain.catalogue_checks.validate import Entities
from rapport.domain.catalogue_checks.warnings import LintWarning
from rapport.domain.conditions import Condition, ConditionError, compile_condition
from rapport.domain.configs import ConfigError, read_config
from rapport.domain.decisions.catalogue import BASE_FLOW
from rapport.domain.decisions.node_types import CONFIGS, FilterConfig, InventoryConfig, MatchConfig, ModeConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveCatalogue:
    """Active entities of a catalogue that decisions can show.

    Attributes:
        offers: Active offers by id.
        all_offers: Offers of any status.
        creatives_of: Active creatives on active channels, by offer id.
        channels: Active channels by id.
        all_channels: Ids of channels of any status.
        placements: Active placements by id.
        reached: Ids of offers that some flow can return.
    """

    offers: Mapping[str, Offer]
    all_offers: Sequence[Offer]
    creatives_of: Mapping[str, Sequence[Creative]]
    channels: Mapping[str, Channel]
    all_channels: frozenset[str]
    placements: Mapping[str, Placement]
    reached: frozenset[str]

    @classmethod
    def build(cls, entities: Entities) -> ActiveCatalogue:
        """Collect the active entities of a catalogue."""
        all_offers = [offer for offer in entities.get("offer", ()) if isinstance(offer, Offer)]
        offers = {offer.id: offer for offer in all_offers if offer.status is Status.ACTIVE}
        all_channels = [channel for channel in entities.get("channel", ()) if isinstance(channel, Channel)]
        channels = {channel.id: channel for channel in all_channels if channel.status is Status.ACTIVE}
        creatives: dict[str, list[Creative]] = {}
        for creative in entities.get("creative", ()):
            if isinstance(creative, Creative) and creative.status is Status.ACTIVE and creative.channel_id in channels:
                creatives.setdefault(creative.offer_id, []).append(creative)
        reached = {
            offer.id
            for flow in list_flows_in_use(entities)
            for offer in _find_returned(flow.published, all_offers, creatives)[0]
        }
        return cls(
            offers=offers,
            all_offers=all_offers,
            creatives_of=creatives,
            channels=channels,
            all_channels=frozenset(channel.id for channel in all_channels),
            placements={
                placement.id: placement
                for placement in entities.get("placement", ())
                if isinstance(placement, Placement) and placement.status is Status.ACTIVE
            },
            reached=frozenset(reached),
        )

    def list_scope_ids(self, kind: ScopeKind) -> frozenset[str | None]:
        """Return the ids that a scope of some kind can name so that it covers an active entity."""
        groups: Mapping[ScopeKind, Iterable[str | None]] = {
            ScopeKind.OFFER: self.offers,
            ScopeKind.CREATIVE: [creative.id for some in self.creatives_of.values() for creative in some],
            ScopeKind.CHANNEL: self.channels,
            ScopeKind.PLACEMENT: self.placements,
            ScopeKind.CATEGORY: [offer.category_id for offer in self.offers.values()],
            ScopeKind.SUBCATEGORY: [offer.sub_category_id for offer in self.offers.values()],
        }
        return frozenset(groups[kind]) - {None}


def list_flows_in_use(entities: Entities) -> Sequence[DecisionFlow]:
    """Return the flows that requests can run; they include the base flow if no other flow is the default."""
    flows = _list_runnable(entities)
    return flows if any(flow.is_default for flow in flows) else [*flows, BASE_FLOW]


def lint_flows(entities: Entities, active: ActiveCatalogue) -> Iterator[LintWarning]:
    """Find flows that can never return anything or are never run, and nodes that do nothing."""
    for flow in entities.get("decision_flow", ()):
        if not isinstance(flow, DecisionFlow) or flow.status is not Status.ACTIVE:
            continue
        if not flow.published_version:
            message = "it is active but was never published, so that no request can run it"
            yield LintWarning("flow_not_published", "decision_flow", flow.id, "", message)
            continue
        left, why, node = _find_returned(flow.published, active.all_offers, active.creatives_of)
        if not left:
            yield LintWarning(
                "flow_returns_nothing", "decision_flow", flow.id, f"published.{node}" if node else "", why
            )
        for node_id, why in _find_idle_nodes(flow.published):
            yield LintWarning("node_does_nothing", "decision_flow", flow.id, f"published.{node_id}", why)
    yield from _lint_shadowed(_list_runnable(entities))


def _list_runnable(entities: Entities) -> list[DecisionFlow]:
    return [
        flow
        for flow in entities.get("decision_flow", ())
        if isinstance(flow, DecisionFlow) and flow.status is Status.ACTIVE and flow.published_version
    ]


def _lint_shadowed(flows: Sequence[DecisionFlow]) -> Iterator[LintWarning]:
    """Find routes and defaults of flows that are never used, because a flow with a smaller id has them, too."""
    taken: dict[object, str] = {}
    for flow in sorted(flows, key=lambda flow: flow.id):
        claims: list[tuple[str, object, str]] = [
            (f"routes[{index}]", (route.channel_id, route.placement_id), "this route")
            for index, route in enumerate(flow.routes)
        ]
        claims += [("isDefault", "default", "requests that match no route")] if flow.is_default else []
        for field, claim, words in claims:
            other = taken.setdefault(claim, flow.id)
            if other != flow.id:
                message = f"{other!r} takes {words} already"
                yield LintWarning("flow_shadowed", "decision_flow", flow.id, field, message)


def _find_returned(
    nodes: Sequence[Node], offers: Iterable[Offer], creatives: Mapping[str, Sequence[Creative]]
) -> tuple[list[Offer], str, str]:
    """Return the offers that can pass a flow; if there are none, also the reason and the id of the blocking node.

    Only conditions that depend neither on the request nor on the customer are evaluated; all others count as passed.
    """
    left = list(offers)
    for node in nodes:
        config = _read_node_config(node)
        if isinstance(config, InventoryConfig):
            left = [offer for offer in left if _is_in_inventory(offer, config)]
            why = "no offer is in its inventory"
        elif isinstance(config, MatchConfig) and config.require_creative:
            left = [offer for offer in left if offer.id in creatives]
            why = "it requires creatives, and no offer that gets here has an active one on an active channel"
        elif isinstance(config, FilterConfig):
            if config.combinator == "AND" and (clash := _find_contradiction(config.conditions)):
                return [], f"its conditions can never hold at once: {clash}", node.id
            left = [offer for offer in left if _can_pass(offer, config)]
            why = "no offer that gets here fulfils its conditions"
        else:
            continue
        if not left:
            return [], why, node.id
    return left, "", ""


def _read_node_config(node: Node) -> object:
    try:
        return read_config(node.config, CONFIGS[node.type])
    except (ConfigError, KeyError):  # reported when the flow was published
        return None


def _is_in_inventory(offer: Offer, config: InventoryConfig) -> bool:
    if offer.status.value not in config.include_statuses:
        return False
    if offer.id in config.offer_ids:
        return True
    if config.scope == "category":
        return offer.category_id in config.category_ids
    if config.scope == "subcategory":
        return offer.sub_category_id in config.sub_category_ids
    return config.scope == "all"


def _can_pass(offer: Offer, config: FilterConfig) -> bool:
    verdicts = [_evaluate_condition(offer, condition) for condition in config.conditions]
    return any(verdict is not False for verdict in verdicts) if config.combinator == "OR" else False not in verdicts


def _evaluate_condition(offer: Offer, condition: Condition) -> bool | None:
    """Return whether an offer fulfils a condition; None if that depends on more than the offer."""
    namespace, _, path = condition.field.partition(".")
    if namespace != "offer":
        return None
    try:
        return compile_condition(condition).holds(_read_field(offer, path))
    except ConditionError:
        return None


def _read_field(offer: Offer, path: str) -> Any:  # noqa: ANN401 - whatever offers hold
    value: Any = to_full_fields(offer)
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return offer.custom_fields.get(path)
        value = value[name]
    return value


def _find_contradiction(conditions: Sequence[Condition]) -> str:
    """Describe two conditions on the same field that exclude each other; empty if there are none."""
    for first, other in combinations(conditions, 2):
        if first.field == other.field and (_is_exclusive(first, other) or _is_exclusive(other, first)):
            return f"{_describe_condition(first)} and {_describe_condition(other)}"
    return ""


def _is_exclusive(first: Condition, other: Condition) -> bool:
    """Return whether every value that fulfils the first condition fails the second; False if that is uncertain."""
    if first.operator in ("is_null", "not_exists"):
        return other.operator in ("is_not_null", "exists", "eq", "gt", "gte", "lt", "lte", "in", "contains")
    values = [first.value] if first.operator == "eq" else first.value if first.operator == "in" else None
    try:
        if isinstance(values, list | tuple):
            test = compile_condition(other)
            return not any(test.holds(value) for value in values)
        if first.operator in ("gt", "gte") and other.operator in ("lt", "lte"):
            strict = first.operator == "gt" or other.operator == "lt"
            return bool(first.value >= other.value if strict else first.value > other.value)
    except (ConditionError, TypeError):
        return False
    return False


def _describe_condition(condition: Condition) -> str:
    return f"{condition.field} {condition.operator} {condition.value!r}"


def _find_idle_nodes(nodes: Iterable[Node]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        config = _read_node_config(node)
        if isinstance(config, ModeConfig) and config.mode == "explicit" and not config.ids:
            yield node.id, "mode is explicit and ids is empty, so that nothing is applied"
