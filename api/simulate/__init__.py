"""Dry runs of decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.areas import Area
from api.simulate.controller import SimulateController
from api.simulate.service import SimulateService

if TYPE_CHECKING:
    from api.recommend import Decisions
    from api.runtime.runtime import Runtime


def build_simulate(runtime: Runtime, decisions: Decisions) -> Area:
    """Build the area from the parts of deciding, the database and the caches of the process."""
    simulations = SimulateService(
        runtime.database,
        runtime.catalogues,
        runtime.tenants,
        runtime.identities,
        decisions.reservations,
        decisions.decider,
        runtime.clock,
    )
    return Area(controllers=[SimulateController], services={"simulations": simulations})
