"""A compiled flow: the nodes in their order, ready to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rapport.domain.catalogue.strategy import DecisionFlow, Node


@dataclass(frozen=True, slots=True)
class FlowStep:
    """A node ready to run.

    Attributes:
        act: Takes a :class:`~rapport.domain.decisions.run.Run`, which holds the catalogue that holds this.
    """

    node: Node
    act: Callable[[Any], None]
    method: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """A flow ready to run.

    Attributes:
        phases: Steps by phase.
        gates: Steps for the gates that the flow does not skip; for runs that end the first phase without them.
    """

    flow: DecisionFlow
    phases: Mapping[int, Sequence[FlowStep]]
    gates: Sequence[FlowStep] = ()
