"""Explanations of which offers a customer may get, now or at a past decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.eligibility.controller import EligibilityController
from api.eligibility.service import EligibilityService
from api.http.areas import Area

if TYPE_CHECKING:
    from api.decision_traces.service import TraceService
    from api.recommend import Decisions
    from api.runtime.runtime import Runtime


def build_eligibility(runtime: Runtime, decisions: Decisions, traces: TraceService) -> Area:
    """Build the area from the parts of deciding, past decisions and the caches of the process."""
    eligibility = EligibilityService(
        runtime.catalogues,
        runtime.tenants,
        runtime.identities,
        decisions.reservations,
        decisions.decider,
        traces,
        runtime.clock,
    )
    return Area(controllers=[EligibilityController], services={"eligibility": eligibility})
