"""References from the free-form configs of rules, policies and flow nodes to other entities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from rapport.domain.catalogue.strategy import ContactPolicy, DecisionFlow, Node, QualificationRule
from rapport.domain.decisions.flow_checks import list_nodes

Reference = tuple[str, str, str]
"""Path of a field, kind of the target, id or key of the target."""
METRIC: Final = "metric."
"""Prefix of fields in conditions that are behavioral metrics."""
_KINDS: Final[Mapping[str, str]] = {
    "metric": "metric",
    "offerGroup": "offer",
    "offerIds": "offer",
    "categoryId": "category",
    "categoryIds": "category",
    "subCategoryId": "sub_category",
    "subCategoryIds": "sub_category",
    "excludeSegments": "segment",
    "requiredSegments": "segment",
    "afterOutcome": "outcome",
    "endedBy": "outcome",
    "model": "model",
    "modelKey": "model",
    "shadowModelKeys": "model",
    "strategyProfileId": "ranking_profile",
    "profileId": "ranking_profile",
    "experimentId": "experiment",
}
"""Kind of the target by field of a config, at any depth."""
_IDS_OF_MODE: Final[Mapping[str, str]] = {"qualify": "qualification_rule", "contact_policy": "contact_policy"}


def list_config_references(entity: ContactPolicy | QualificationRule) -> Iterator[Reference]:
    """Iterate over the references in the config of a rule or policy."""
    yield from _list_nested_references("config", entity.config)


def list_flow_references(flow: DecisionFlow) -> Iterator[Reference]:
    """Iterate over the references in the routes and the draft of a flow."""
    for index, route in enumerate(flow.routes):
        yield f"routes[{index}].channelId", "channel", route.channel_id
        if route.placement_id is not None:
            yield f"routes[{index}].placementId", "placement", route.placement_id
    for node in list_nodes(flow.draft):
        yield from list_node_references(node, f"draft.{node.id}")


def list_node_references(node: Node, path: str) -> Iterator[Reference]:
    """Iterate over the references in the config of a node, without those of nested nodes."""
    if node.type in _IDS_OF_MODE:
        yield from _list_named(f"{path}.ids", _IDS_OF_MODE[node.type], node.config.get("ids", ()))
    elif node.type == "conditional":
        yield from _list_nested_references(f"{path}.conditions", node.config.get("conditions", ()))
    elif node.type != "set_properties":  # its properties can have any name
        yield from _list_nested_references(path, node.config)


def _list_nested_references(path: str, value: object) -> Iterator[Reference]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name in _KINDS:
                yield from _list_named(f"{path}.{name}", _KINDS[name], inner)
            elif name in ("field", "attribute") and isinstance(inner, str) and inner.startswith(METRIC):
                yield f"{path}.{name}", "metric", inner.removeprefix(METRIC)
            else:
                yield from _list_nested_references(f"{path}.{name}", inner)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _list_nested_references(f"{path}[{index}]", inner)


def _list_named(path: str, kind: str, value: object) -> Iterator[Reference]:
    """Iterate over a text or a list of texts; values of other types are reported by other checks."""
    if isinstance(value, str) and value:
        yield path, kind, value
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _list_named(f"{path}[{index}]", kind, inner)
