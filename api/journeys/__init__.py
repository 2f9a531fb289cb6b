"""Journeys: customers enter and leave them, and a journey can be tried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.areas import Area
from api.journeys.controller import EnrollmentController
from api.journeys.service import JourneyService

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime


def build_journeys(runtime: Runtime) -> Area:
    """Build the area from the database, the caches and the clock of the process."""
    journeys = JourneyService(runtime.database, runtime.catalogues, runtime.tenants, runtime.identities, runtime.clock)
    return Area(controllers=[EnrollmentController], services={"journeys": journeys})
