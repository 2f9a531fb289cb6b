"""Figures of the attacks, printed at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.attack.neighbour import Observation


@dataclass(slots=True)
class Figures:
    """Figures that are printed at the end.

    Attributes:
        inputs: Number of inputs tried, by attack.
        faults: Processes that were killed and came back.
        neighbour: The neighbour's observations, by attack.
    """

    inputs: dict[str, int] = field(default_factory=dict)
    faults: int = 0
    neighbour: dict[str, Observation] = field(default_factory=dict)
