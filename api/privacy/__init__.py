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
from rapport.application.privacy.erasure import CustomerEraser
from rapport.jobs import Job
from rapport.state.customer_erasure import remove_shared_state

if TYPE_CHECKING:
    from api.recommend import Decisions
    from api.runtime.runtime import Runtime
    from rapport.domain.customers.customer import CustomerKey


def build_privacy(runtime: Runtime, decisions: Decisions) -> Area:
    """Build the area from reservations and recent decisions, the database and the clock of the process."""
    database, clock = runtime.database, runtime.clock

    async def remove_state(key: CustomerKey) -> None:
        decisions.reservations.forget_own([key])
        decisions.recent.forget([key])
        await remove_shared_state(runtime.shared, key)

    follower = ErasureFollower(database, decisions.recent, runtime.idempotency, decisions.reservations)
    return Area(
        controllers=[DsarController, ErasureController, RetentionController],
        services={
            "erasure": ErasureService(database, CustomerEraser(database, remove_state, clock)),
            "data_requests": DsarService(database, clock),
            "retention": RetentionService(database, clock),
        },
        jobs=[Job(name="forgetting", work=follower.look, every_s=FORGET_EVERY_S, longest_retry_s=FORGET_EVERY_S)],
    )
