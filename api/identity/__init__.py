"""Identities: identifiers of customers, and customers who are one person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.areas import Area
from api.identity.controller import IdentityController
from api.identity.service import IdentityService

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime


def build_identity(runtime: Runtime) -> Area:
    """Build the area from the database, the merges and the clock of the process."""
    identity = IdentityService(runtime.database, runtime.identities, runtime.clock)
    return Area(controllers=[IdentityController], services={"identity": identity})
