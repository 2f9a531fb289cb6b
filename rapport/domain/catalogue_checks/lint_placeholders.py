"""Linter of placeholders: finds those that can be without a value, so that their offers are not shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from rapport.domain.catalogue.inventory import Category, Creative, Offer, SubCategory
from rapport.domain.catalogue.plain import to_full_fields
from rapport.domain.catalogue.strategy import DecisionFlow, MetricDefinition, Node
from rapport.domain.catalogue.values import Entity, Status
from rapport.domain.catalogue_checks.warnings import LintWarning
from rapport.domain.configs import ConfigError, read_config
from rapport.domain.decisions.computed_fields import OfferFields
from rapport.domain.decisions.node_types import MAX_DEPTH, CallConfig, ComputeConfig, SetConfig
from rapport.domain.decisions.output.templates import Placeholder, parse_template
from rapport.domain.formulas import FormulaError, compile_formula
from rapport.domain.formulas.guarantees import find_missing_fields

if TYPE_CHECKING:
    from rapport.domain.catalogue_checks.validate import Entities
    from rapport.domain.formulas.expressions import Expression

E = TypeVar("E", bound=Entity)
_ALWAYS: Final = (
    "request.customerId",
    "request.limit",
    *(f"channel.{name}" for name in ("id", "name", "status", "channelType")),
)
_KINDS: Final[Mapping[str, type[Any]]] = {
    "compute": ComputeConfig,
    "set_properties": SetConfig,
    "call_flow": CallConfig,
}


class _GuaranteedValues:
    """Names that always have a value for a candidate, and computed names with the fields that they depend on.

    Args:
        fixed: Dotted names that always have a value.
        computed: Computed names with their formulas, in the order of evaluation.
    """

    def __init__(self, fixed: frozenset[str], computed: Iterable[tuple[str, Expression]]) -> None:
        self._missing: dict[str, frozenset[str]] = dict.fromkeys(fixed, frozenset())
        for name, formula in computed:
            direct = find_missing_fields(formula, lambda field: not self.find_missing(field))
            self._missing[name] = frozenset[str]().union(*map(self.find_missing, direct))

    def find_missing(self, name: str) -> frozenset[str]:
        """Return the fields without which a name can lack a value; empty if it always has one."""
        return self._missing.get(name, frozenset({name}))


class _FlowOutputs(NamedTuple):
    """Values that a flow adds to its candidates: names of properties, and computed values."""

    properties: frozenset[str]
    computed: Sequence[tuple[str, Expression]]


def lint_placeholders(entities: Entities, flows: Sequence[DecisionFlow]) -> Iterator[LintWarning]:
    """Find placeholders of active creatives of active offers that can be without a value.

    Attributes of customers are never guaranteed: customers without any stored attributes get decisions, too. ``flows``
    are those that requests can run.
    """
    offers = {offer.id: offer for offer in _select_active(entities, "offer", Offer)}
    categories = {category.id: category for category in entities.get("category", ()) if isinstance(category, Category)}
    sub_categories = {
        sub_category.id: sub_category
        for sub_category in entities.get("sub_category", ())
        if isinstance(sub_category, SubCategory)
    }
    fields = OfferFields.build(categories, sub_categories, [])
    metrics = _list_guaranteed_metrics(entities)
    outputs = [(flow, _find_outputs(flow, {one.key: one for one in flows})) for flow in flows]
    for creative in _select_active(entities, "creative", Creative):
        offer = offers.get(creative.offer_id)
        if offer is None:
            continue
        fixed = _list_guaranteed_names(creative, offer, fields) | metrics
        of_offer = [(name, formula.expression) for name, formula in fields.list_computed(offer)]
        for flow, added in outputs:
            channels = {route.channel_id for route in flow.routes}
            if flow.is_default or not channels or creative.channel_id in channels:
                values = _GuaranteedValues(fixed | added.properties, [*of_offer, *added.computed])
                yield from _lint_creative(creative, flow, values)


def _select_active(entities: Entities, kind: str, expected: type[E]) -> list[E]:
    return [
        entity for entity in entities.get(kind, ()) if isinstance(entity, expected) and entity.status is Status.ACTIVE
    ]


def _list_guaranteed_metrics(entities: Entities) -> frozenset[str]:
    """Return the metrics that always have a value: counts and sums, which are 0 without events."""
    metrics = _select_active(entities, "metric", MetricDefinition)
    return frozenset(f"metric.{metric.key}" for metric in metrics if metric.aggregate_function in ("count", "sum"))


def _list_guaranteed_names(creative: Creative, offer: Offer, fields: OfferFields) -> frozenset[str]:
    own = {**fields.merge_defaults(offer), **offer.custom_fields}
    return frozenset(
        (
            *_ALWAYS,
            *(name for name, value in own.items() if value is not None),
            *(f"offer.{name}" for name, value in {**own, **to_full_fields(offer)}.items() if value is not None),
            *(f"creative.{name}" for name, value in to_full_fields(creative).items() if value is not None),
        )
    )


def _lint_creative(creative: Creative, flow: DecisionFlow, values: _GuaranteedValues) -> Iterator[LintWarning]:
    declared = {variable.variable: variable for variable in creative.personalization}
    reported: set[str] = set()
    for content_field, template in creative.content.items():
        for part in parse_template(creative.template_type, content_field, template):
            if (
                not isinstance(part, Placeholder)
                or part.name in reported
                or (part.only_declared and part.name not in declared)
            ):
                continue
            variable = declared.get(part.name)
            if variable is not None and variable.fallback is not None:
                continue
            missing = values.find_missing(part.name)
            if missing and variable is not None and variable.source:
                missing = values.find_missing(variable.source)
            if not missing:
                continue
            reported.add(part.name)
            message = (
                f"in flow {flow.key!r} {part.written} may have no value, since nothing guarantees "
                f"{', '.join(sorted(missing))}; the offer is not shown then. "
                "Give the variable a fallback, or its formula a coalesce()"
            )
            yield LintWarning("placeholder_may_be_null", "creative", creative.id, f"content.{content_field}", message)


def _find_outputs(flow: DecisionFlow, flows: Mapping[str, DecisionFlow]) -> _FlowOutputs:
    properties: set[str] = set()
    computed: list[tuple[str, Expression]] = []
    for config in _list_configs(flow.published, flows, 0):
        if isinstance(config, SetConfig):
            properties |= {name for name, value in config.properties.items() if value is not None}
        elif isinstance(config, ComputeConfig):
            for field in config.fields:
                with suppress(FormulaError):  # reported when the flow was published
                    computed.append((field.name, compile_formula(field.formula).expression))
    return _FlowOutputs(frozenset(properties), computed)


def _list_configs(nodes: Iterable[Node], flows: Mapping[str, DecisionFlow], depth: int) -> Iterator[object]:
    for node in nodes:
        if node.type not in _KINDS:
            continue
        try:
            config = read_config(node.config, _KINDS[node.type])
        except ConfigError:  # reported when the flow was published
            continue
        if isinstance(config, CallConfig):
            called = flows.get(config.flow_key)
            if called is not None and depth < MAX_DEPTH:
                yield from _list_configs(called.published, flows, depth + 1)
        else:
            yield config
