"""Recent recommendations, for responses to them before the stream has written them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final

from cachetools import FIFOCache

from rapport.application.decisions.recommendation_id import decode_created_at_ms
from rapport.storage.decisions import DecisionItem, find_decision_items

if TYPE_CHECKING:
    from rapport.storage.database import Database

MAX_KNOWN: Final = 50_000
"""Recommendations; some 50 MB. Older ones are in the tables long since."""
RECENT_MS: Final = 60_000
"""How long a recommendation of another process may be on its way through the stream before one stops to wait for it."""
PAUSES_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Between looking again into the tables: another process's recommendation is there within a batch or two."""


class RecentDecisions:
    """Finds items of recommendations: this process's in memory, others in the tables.

    Args:
        clock: Epoch milliseconds.
    """

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        self._known: FIFOCache[tuple[str, str], Sequence[DecisionItem]] = FIFOCache(MAX_KNOWN)

    def add(self, tenant_id: str, recommendation_id: str, items: Sequence[DecisionItem]) -> None:
        """Add a recommendation that Kafka has."""
        self._known[tenant_id, recommendation_id] = tuple(items)

    def customers(self) -> set[tuple[str, str]]:
        """Return the customers of cached recommendations: (tenant, customer)."""
        return {(tenant_id, item.customer_id) for (tenant_id, _), items in self._known.items() for item in items}

    def forget(self, customers: Collection[tuple[str, str]]) -> None:
        """Remove the recommendations of some customers."""
        for key in [
            key for key, items in self._known.items() if any((key[0], i.customer_id) in customers for i in items)
        ]:
            del self._known[key]

    async def find(self, tenant_id: str, recommendation_id: str, rank: int) -> DecisionItem | None:
        """Find the item at a rank; None if there is no such recommendation, or it has fewer ranks.

        A recommendation made within the last minute by another process is waited for, up to some 1.5 s.

        Raises:
            StorageError: The recommendation is not cached and ClickHouse does not answer.
        """
        items = self._known.get((tenant_id, recommendation_id))
        if items is None:
            items = await self._look_up(tenant_id, recommendation_id)
        return next((item for item in items or () if item.rank == rank), None)

    async def _look_up(self, tenant_id: str, recommendation_id: str) -> Sequence[DecisionItem] | None:
        made_ms = decode_created_at_ms(recommendation_id)
        is_recent = made_ms is not None and abs(self._clock() - made_ms) < RECENT_MS
        found = await self._database.call(find_decision_items, tenant_id, recommendation_id)
        for pause_s in PAUSES_S if is_recent else ():
            if found is not None:
                break
            await asyncio.sleep(pause_s)
            found = await self._database.call(find_decision_items, tenant_id, recommendation_id)
        if found is not None:
            self.add(tenant_id, recommendation_id, found)
        return found
