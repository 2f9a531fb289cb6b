"""The forms in which definitions of journeys may be sent: steps, or nodes and edges as editors draw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Fields = dict[str, Any]
_OF_STEP: Final = ("id", "type", "name", "next", "config")
_OF_DRAWING: Final = ("position", "width", "height", "selected", "dragging", "data", "label")
_BEGINNINGS: Final = ("start", "trigger", "entry")
_OTHERWISE: Final = ("", "default", "else")


def reform_journey(fields: Fields) -> None:
    """Bring the definition and the entry condition of a journey into their newest form."""
    definition = fields.get("definition")
    if isinstance(definition, dict):
        if isinstance(definition.get("nodes"), list):
            definition = _of_drawing(definition)
        steps = definition.get("steps")
        if isinstance(steps, list):
            definition = {**definition, "steps": [_with_config(one) for one in steps]}
        fields["definition"] = definition
    condition = fields.get("entryCondition")
    if isinstance(condition, dict):
        condition = dict(condition)
        if isinstance(outcome := condition.pop("outcome", None), str):
            condition.setdefault("outcomes", [outcome])
        fields["entryCondition"] = condition


def _with_config(step: Any) -> Any:  # noqa: ANN401 - of a body
    """Move settings of a step that stand beside its type into ``config``."""
    if not isinstance(step, dict) or not isinstance(step.get("config", {}), dict):
        return step
    loose = {name: value for name, value in step.items() if name not in (*_OF_STEP, *_OF_DRAWING)}
    kept = {name: step[name] for name in _OF_STEP if name in step}
    return kept | ({"config": {**loose, **step.get("config", {})}} if loose else {})


def _of_drawing(definition: Fields) -> Fields:
    """Convert nodes and edges to steps: edges lead from a step to its next one, or from a condition of a branch."""
    nodes = [one for one in definition["nodes"] if isinstance(one, dict)]
    edges = [one for one in definition.get("edges") or () if isinstance(one, dict)]
    ends = {node.get("id"): [edge for edge in edges if edge.get("source") == node.get("id")] for node in nodes}
    steps, start = [], definition.get("start")
    for node in nodes:
        data = node["data"] if isinstance(node.get("data"), dict) else {}
        step = _with_config({**{name: value for name, value in data.items() if name != "label"}, **node})
        if node.get("type") in _BEGINNINGS:
            start = start or next((edge.get("target") for edge in ends[node.get("id")]), None)
            continue
        if step.get("type") == "branch":
            step["config"] = _build_branch(step.get("config", {}), ends[node.get("id")])
        elif ends[node.get("id")]:
            step.setdefault("next", ends[node.get("id")][0].get("target"))
        elif step.get("type") != "end" and "next" not in step:  # a drawing has no order: here the journey ends
            step["next"] = f"{step.get('id')}-end"
            steps.append({"id": step["next"], "type": "end"})
        steps.append(step)
    start = start or next((one.get("id") for one in nodes if one.get("type") not in _BEGINNINGS), None)
    rest = {name: value for name, value in definition.items() if name not in ("nodes", "edges", "start")}
    return {**rest, "steps": steps, "start": start}


def _build_branch(config: Mapping[str, Any], edges: Sequence[Mapping[str, Any]]) -> Fields:
    """Build the config of a branch with the targets of its edges, by the labels of its conditions."""
    targets = {_find_label(edge): edge.get("target") for edge in edges}
    conditions = config.get("conditions")
    if isinstance(conditions, list):
        conditions = [
            {**one, "targetStepId": targets[label]}
            if isinstance(one, dict) and "targetStepId" not in one and (label := str(one.get("label", ""))) in targets
            else one
            for one in conditions
        ]
    fallback = next((targets[label] for label in _OTHERWISE if label in targets), None)
    found = {**config, **({} if conditions is None else {"conditions": conditions})}
    if "default" in found:
        found.setdefault("defaultStepId", found.pop("default"))
    return found if fallback is None else {"defaultStepId": fallback, **found}


def _find_label(edge: Mapping[str, Any]) -> str:
    for name in ("label", "sourceHandle", "condition"):
        if isinstance(edge.get(name), str):
            return str(edge[name])
    return ""
