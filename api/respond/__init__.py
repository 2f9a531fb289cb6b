"""Responses of customers to what they were shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.areas import Area
from api.respond.controller import RespondController
from api.respond.service import RespondService
from api.respond.subject_finder import SubjectFinder

if TYPE_CHECKING:
    from api.recommend import Decisions
    from api.runtime.runtime import Runtime


def build_respond(runtime: Runtime, decisions: Decisions) -> Area:
    """Build the area from recent decisions, the caches, the producer and the watermark of the process."""
    responses = RespondService(
        tenants=runtime.tenants,
        subjects=SubjectFinder(runtime.database, runtime.catalogues, decisions.recent),
        idempotency=runtime.idempotency,
        producer=runtime.producer,
        watermark=runtime.watermark,
        metrics=runtime.metrics,
    )
    return Area(controllers=[RespondController], services={"responses": responses})
