"""Compiled flow: steps in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rapport.domain.catalogue.strategy import DecisionFlow, Node


@dataclass(frozen=True, slots=True)
class FlowStep:
    """Compiled node.

    Attributes:
        act: Runs the node on a :class:`~rapport.domain.decisions.run.Run`. Typed Any, because the run refers to the
            catalogue, which refers to this type.
        method: The config's method, such as the scoring method; empty if the node has none.
    """

    node: Node
    act: Callable[[Any], None]
    method: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """Compiled flow.

    Attributes:
        phases: Steps by phase.
        required_steps: Steps of the required nodes that the flow does not skip; a run that has not executed one of
            them by the end of the first phase executes it then.
    """

    flow: DecisionFlow
    phases: Mapping[int, Sequence[FlowStep]]
    required_steps: Sequence[FlowStep] = ()
