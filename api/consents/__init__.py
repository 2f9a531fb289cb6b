"""Consents of customers, one customer at a time and imported by the thousand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.consents.bulk import ConsentsController
from api.consents.controller import ConsentController
from api.consents.service import ConsentService
from api.http.areas import Area

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime


def build_consents(runtime: Runtime) -> Area:
    """Build the area from the database, the tenants and the clock of the process."""
    limit = runtime.settings.api.max_bulk_bytes
    consents = ConsentService(runtime.database, runtime.tenants, runtime.clock, limit)
    return Area(controllers=[ConsentController, ConsentsController], services={"consents": consents})
