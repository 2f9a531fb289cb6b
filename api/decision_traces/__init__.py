"""Past decisions: listed, explained and made again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.decision_traces.controller import DecisionController, TraceController
from api.decision_traces.service import TraceService
from api.http.areas import Area

if TYPE_CHECKING:
    from api.recommend import Decisions
    from api.runtime.runtime import Runtime


def build_decision_traces(traces: TraceService) -> Area:
    """Build the area from the service that eligibility reads past decisions by, too."""
    return Area(controllers=[DecisionController, TraceController], services={"traces": traces})


def build_trace_service(runtime: Runtime, decisions: Decisions) -> TraceService:
    """Make the service from the database, the caches and the recent decisions of the process."""
    return TraceService(runtime.database, runtime.catalogues, runtime.tenants, decisions.recent)
