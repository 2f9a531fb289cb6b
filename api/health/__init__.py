"""Health checks and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.health.controller import HealthController
from api.health.readiness import Readiness
from api.http.areas import Area

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime


def build_health(runtime: Runtime) -> Area:
    """Build the area from the database, the producer, the watermark and the metrics of the process."""
    readiness = Readiness(runtime.database, runtime.producer, runtime.watermark, runtime.shared)
    return Area(
        controllers=[HealthController],
        services={"readiness": readiness, "metrics": runtime.metrics},
        mounts=("/",),
    )
