"""Follows erasures by any process, and empties this process's caches of the customers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from rapport.domain.privacy import list_hashes
from rapport.storage.tombstones import read_tombstones

if TYPE_CHECKING:
    from api.recommend.recent_decisions import RecentDecisions
    from api.recommend.reservation_store import ReservationStore
    from api.runtime.idempotency import IdempotencyStore
    from rapport.domain.privacy import Tombstone
    from rapport.storage.database import Database

log = structlog.get_logger(__name__)
EVERY_S: Final = 1.0
"""Sooner than an erasure is complete."""


class ErasureFollower:
    """Looks for new tombstones and removes their customers from the caches of the process."""

    def __init__(
        self,
        database: Database,
        decisions: RecentDecisions,
        repetitions: IdempotencyStore,
        reservations: ReservationStore,
    ) -> None:
        self._database = database
        self._decisions = decisions
        self._repetitions = repetitions
        self._reservations = reservations
        self._seen: dict[str, Tombstone] = {}
        self._newest_ms: int | None = None

    async def look(self) -> None:
        """Remove customers erased since the last look. Before the first look the caches hold nothing of them.

        Raises:
            StorageError: ClickHouse does not answer; the caches stay as they are.
        """
        found = await self._database.call(read_tombstones, self._newest_ms or 0)
        # Looked at again when it is complete: requests may have read from the tables meanwhile.
        new = {one.customer_hash: one.tombstone for one in found if self._seen.get(one.customer_hash) != one.tombstone}
        is_first, self._newest_ms = (
            self._newest_ms is None,
            max((one.stored_at_ms for one in found), default=self._newest_ms or 0),
        )
        self._seen |= new
        if new and not is_first:
            await self._forget(frozenset(new))

    async def _forget(self, hashes: frozenset[str]) -> None:
        known = {*self._decisions.customers(), *self._repetitions.customers(), *self._reservations.customers()}
        erased = await asyncio.to_thread(lambda: {one for one in known if not hashes.isdisjoint(list_hashes(*one))})
        if erased:
            self._decisions.forget(erased)
            self._repetitions.forget(erased)
            self._reservations.forget_own(erased)
            log.info("erased customers are forgotten", customers=len(erased))
