"""Validation of decision flows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import msgspec

from rapport.domain.catalogue.strategy import Node
from rapport.domain.conditions import ConditionError, compile_condition
from rapport.domain.configs import ConfigError, read_config
from rapport.domain.decisions.node_types import (
    CONFIGS,
    MAX_DEPTH,
    MAX_NODES,
    NARROW,
    PHASES,
    CallConfig,
    ComputeConfig,
    ConditionalConfig,
    ScoreConfig,
)
from rapport.domain.faults import Fault
from rapport.domain.formulas import FormulaError, compile_formula


def find_flow_faults(nodes: Sequence[Node], known_flows: Iterable[str] = ()) -> list[Fault]:
    """Return all faults of a flow's nodes; the field of a fault is the node's id, empty for the flow as a whole.

    Args:
        nodes: Nodes in their order.
        known_flows: Keys of the flows that ``call_flow`` may call; empty to allow any.
    """
    if message := find_size_fault(nodes):
        return [Fault("", message)]
    counts = Counter(node.id for node in list_nodes(nodes))
    faults = [Fault(node_id, "the id occurs twice") for node_id, count in sorted(counts.items()) if count > 1]
    for node in list_nodes(nodes):
        faults += [Fault(node.id, message) for message in _find_node_faults(node, frozenset(known_flows))]
    return faults + list(_find_order_faults(nodes))


def find_size_fault(nodes: Sequence[Node]) -> str:
    """Return a message if there are too many nodes, those inside conditionals included; else an empty text."""
    is_small = len(nodes) <= MAX_NODES and not any(islice(list_nodes(nodes), MAX_NODES, None))
    return "" if is_small else f"has more than {MAX_NODES} nodes, those inside conditionals included; split the flow"


def list_nodes(nodes: Sequence[Node], depth: int = 0) -> Iterator[Node]:
    """Iterate over nodes, including those inside conditionals."""
    for node in nodes:
        yield node
        if node.type == "conditional" and depth < MAX_DEPTH:
            for branch in ("then", "otherwise"):
                inner = node.config.get(branch, ())
                try:
                    yield from list_nodes(msgspec.convert(inner, Sequence[Node]), depth + 1)
                except msgspec.ValidationError:
                    continue  # reported as a fault of the conditional itself


def _find_node_faults(node: Node, known_flows: frozenset[str]) -> Iterator[str]:
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
    if isinstance(config, ComputeConfig):
        yield from (f"{field.name}: {fault}" for field in config.fields if (fault := find_formula_fault(field.formula)))
    if isinstance(config, CallConfig) and known_flows and config.flow_key not in known_flows:
        yield f"there is no flow {config.flow_key!r}; known are {', '.join(sorted(known_flows))}"
    if isinstance(config, ScoreConfig):
        yield from _find_scoring_faults(config)


def find_formula_fault(text: str) -> str:
    """Return the syntax error of a formula with its position; empty if the formula can be compiled."""
    try:
        compile_formula(text)
    except FormulaError as error:
        return str(error)
    return ""


def _find_scoring_faults(config: ScoreConfig) -> Iterator[str]:
    if config.expression and (fault := find_formula_fault(config.expression)):
        yield f"expression: {fault}"
    if config.formula is not None:
        total = sum(getattr(config.formula, field.name) for field in msgspec.structs.fields(config.formula))
        if abs(total - 1) > 1e-6:
            yield f"the weights of the formula add up to {total:g}, not to 1"
    split = config.champion_challenger
    if split is None or not split.enabled or split.experiment_id:
        return
    if split.champion is None:
        yield "championChallenger needs an experimentId, or a champion"
        return
    share = sum(model.weight for model in (split.champion, *split.challengers))
    if abs(share - 100) > 1e-6:
        yield f"the weights of champion and challengers add up to {share:g}, not to 100"


def _find_order_faults(nodes: Sequence[Node]) -> Iterator[Fault]:
    if not nodes or nodes[0].type != "inventory":
        yield Fault(nodes[0].id if nodes else "", "a flow begins with an inventory node")
    for kind in ("inventory", "response"):
        ids = [node.id for node in nodes if node.type == kind]
        if len(ids) != 1:
            yield Fault(ids[1] if ids else "", f"a flow has exactly one {kind} node, this one has {len(ids)}")
    if nodes and nodes[-1].type != "response":
        yield Fault(nodes[-1].id, "a flow ends with its response node")
    reached = NARROW
    for node in nodes:
        phase = PHASES.get(node.type)
        if phase is None:
            continue
        if phase < reached:
            yield Fault(node.id, f"{node.type} belongs before the nodes of a later phase")
        reached = max(reached, phase)
    if not any(node.type == "score" for node in nodes):
        yield Fault("", "a flow has a score node")
