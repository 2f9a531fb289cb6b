"""Values of behavioral metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.areas import Area
from api.metric_values.controller import MetricValueController
from api.metric_values.service import MetricValueService

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime


def build_metric_values(runtime: Runtime) -> Area:
    """Build the area from the database, the caches and the clock of the process."""
    metrics = MetricValueService(runtime.database, runtime.catalogues, runtime.identities, runtime.clock)
    return Area(controllers=[MetricValueController], services={"metric_values": metrics})
