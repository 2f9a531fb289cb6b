"""Values of customers, compared with all customers of their tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.clv.controller import ClvController
from api.clv.service import ClvService
from api.http.areas import Area

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime


def build_clv(values: ClvService) -> Area:
    """Build the area from the service that unified profiles show values by, too."""
    return Area(controllers=[ClvController], services={"customer_values": values})


def build_customer_values(runtime: Runtime) -> ClvService:
    """Make the service from the database, the merges, the rules and the clock of the process."""
    return ClvService(runtime.database, runtime.identities, runtime.settings, runtime.clock)
