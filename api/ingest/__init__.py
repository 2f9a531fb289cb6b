"""Many interactions at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.areas import Area
from api.ingest.controller import IngestController
from api.ingest.service import IngestService

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime


def build_ingest(runtime: Runtime) -> Area:
    """Build the area from the tenants, the producer and the metrics of the process."""
    limit = runtime.settings.api.max_bulk_bytes
    events = IngestService(runtime.tenants, runtime.producer, runtime.metrics, limit)
    return Area(controllers=[IngestController], services={"ingest": events})
