"""Privacy: erasure, requests of customers about their data, and retention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.areas import Area
from api.privacy.controller import DsarController, ErasureController
from api.privacy.dsar import DsarService
from api.privacy.erasure import ErasureService
from api.privacy.erasure_follower import EVERY_S as FORGET_EVERY_S
from api.privacy.erasure_follower import ErasureFollower
from api.privacy.retention import RetentionController
from api.privacy.retention_service import RetentionService
from rapport.jobs import Job

if TYPE_CHECKING:
    from api.recommend import Decisions
    from api.runtime.runtime import Runtime


DAY_S = 86_400.0
FIRST_DAILY_S = 600.0
"""Not at once: a process that starts has other things to do."""


def build_privacy(runtime: Runtime, decisions: Decisions) -> Area:
    """Build the area from reservations and recent decisions, the database and the clock of the process."""
    database, clock = runtime.database, runtime.clock
    erasure = ErasureService(database, decisions.reservations, clock)
    requests = DsarService(database, erasure, clock)
    retention = RetentionService(database, clock)
    follower = ErasureFollower(database, decisions.recent, runtime.idempotency, decisions.reservations)
    return Area(
        controllers=[DsarController, ErasureController, RetentionController],
        services={"erasure": erasure, "data_requests": requests, "retention": retention},
        jobs=[
            Job(name="forgetting", work=follower.look, every_s=FORGET_EVERY_S, longest_retry_s=FORGET_EVERY_S),
            Job(name="data-requests", work=requests.work_on_requests, every_s=1.0, longest_retry_s=5.0),
            Job(name="sweep", work=erasure.sweep, every_s=DAY_S, first_after_s=FIRST_DAILY_S),
            Job(name="retention", work=retention.delete_old, every_s=DAY_S, first_after_s=FIRST_DAILY_S),
        ],
    )
