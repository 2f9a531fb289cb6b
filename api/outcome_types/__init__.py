"""Outcome types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.areas import Area
from api.outcome_types.controller import OutcomeTypeController
from api.outcome_types.service import OutcomeTypeService

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime


def build_outcome_types(runtime: Runtime) -> Area:
    """Build the area from the database, the tenants and the clock of the process."""
    outcome_types = OutcomeTypeService(runtime.database, runtime.tenants, runtime.clock)
    return Area(controllers=[OutcomeTypeController], services={"outcome_types": outcome_types})
