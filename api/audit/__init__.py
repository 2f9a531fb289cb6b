"""The audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.audit.controller import AuditController
from api.http.areas import Area

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime


def build_audit(runtime: Runtime) -> Area:
    """Build the area from the database of the process."""
    return Area(controllers=[AuditController], services={"database": runtime.database})
