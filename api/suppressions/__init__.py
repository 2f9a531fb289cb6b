"""Suppressions of customers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.areas import Area
from api.suppressions.controller import SuppressionController
from api.suppressions.service import SuppressionService

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime


def build_suppressions(suppressions: SuppressionService) -> Area:
    """Build the area from the service that unified profiles list suppressions by, too."""
    return Area(controllers=[SuppressionController], services={"suppressions": suppressions})


def build_suppression_service(runtime: Runtime) -> SuppressionService:
    """Make the service from the database, the caches and the clock of the process."""
    return SuppressionService(runtime.database, runtime.catalogues, runtime.tenants, runtime.identities, runtime.clock)
