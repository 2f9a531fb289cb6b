"""Figures of the attacks, printed at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.attack.neighbour import Observation


@dataclass(slots=True)
class Figures:
    """What is printed at the end.

    Attributes:
        inputs: Tried, by attack.
        faults: Processes that were killed and came back.
        neighbour: What the neighbour saw, by attack.
    """

    inputs: dict[str, int] = field(default_factory=dict)
    faults: int = 0
    neighbour: dict[str, Observation] = field(default_factory=dict)
