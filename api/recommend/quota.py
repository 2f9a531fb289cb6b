"""Quotas of recommendations for tenants."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from api.http.errors import ApiError
from rapport.storage.decisions import count_decisions

if TYPE_CHECKING:
    from rapport.domain.tenants import Tenant
    from rapport.storage.database import Database

RECOUNT_S: Final = 2.0
CODE: Final = "PLAYGROUND_QUOTA_EXCEEDED"


@dataclass(slots=True)
class _Count:
    """A tenant's recommendations.

    Attributes:
        stored: In the tables when they were last counted.
        counted_at: When that was, monotonic seconds.
        ours: DecisionResult, or being made, by this process and not yet seen in the tables.
    """

    stored: int = 0
    counted_at: float = -float("inf")
    ours: set[str] = field(default_factory=set)


class DecisionQuota:
    """Counts recommendations of tenants that have a quota: those in the tables, and this process's own on their way.

    Within a process the quota is exact; what other processes make within two seconds may go beyond it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counts: dict[str, _Count] = {}

    async def take(self, tenant: Tenant, recommendation_id: str) -> None:
        """Count a recommendation that is about to be made.

        Raises:
            ApiError: 429; the quota is used up.
            StorageError: It has to be counted and ClickHouse does not answer.
        """
        quota = tenant.settings.decision_quota
        if not quota:
            return
        count = self._counts.setdefault(tenant.tenant_id, _Count())
        if time.monotonic() - count.counted_at > RECOUNT_S:
            asked_at = time.monotonic()
            stored, seen = await self._database.call(count_decisions, tenant.tenant_id, sorted(count.ours))
            count.stored, count.counted_at = stored, asked_at
            count.ours -= seen
        if count.stored + len(count.ours) >= quota:
            raise ApiError(429, f"The {quota:,} recommendations of this tenant are used up.", code=CODE)
        count.ours.add(recommendation_id)

    def give_back(self, tenant: Tenant, recommendation_id: str) -> None:
        """Uncount a recommendation that was not made after all."""
        if tenant.tenant_id in self._counts:
            self._counts[tenant.tenant_id].ours.discard(recommendation_id)
