"""Recent decisions, for whoever asks about one before the stream has written it."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

import msgspec
from cachetools import FIFOCache

from rapport.application.decisions.recommendation_id import decode_created_at_ms
from rapport.domain.customers.customer import CustomerKey
from rapport.state.recent_decisions import SharedDecisions
from rapport.storage.decisions import DecisionItem, StoredDecision, find_decision, list_items

if TYPE_CHECKING:
    from rapport.domain.decisions.record import DecisionRecord
    from rapport.state.shared_state import SharedState
    from rapport.storage.database import Database

MAX_BYTES: Final = 64 * 1_048_576
"""Compressed decisions in this process: some 40,000 about ten offers. Older ones are in the tables long since."""
OVERHEAD_BYTES: Final = 400
"""Of an entry, beside its compressed decision."""
RECENT_MS: Final = 60_000
"""Age up to which a decision of another process may not be in the tables yet; a younger one is waited for."""
PAUSES_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Pauses between lookups in the tables: another process's decision is there within a batch or two."""


class _RecentDecision(msgspec.Struct, frozen=True, gc=False):
    """A decision in memory; members as those of :class:`StoredDecision`."""

    customer_id: str
    decided_at_ms: int
    compressed: bytes


class RecentDecisions:
    """Finds decisions: this process's in memory, those of others in Redis or, without it, in the tables.

    Args:
        database: The tables.
        shared: Redis, if processes share one.
        clock: Epoch milliseconds.
    """

    def __init__(self, database: Database, shared: SharedState | None, clock: Callable[[], int]) -> None:
        self._database = database
        self._shared = None if shared is None else SharedDecisions(shared)
        self._clock = clock
        self._known: FIFOCache[tuple[str, str], _RecentDecision] = FIFOCache(
            MAX_BYTES, getsizeof=lambda entry: len(entry.compressed) + OVERHEAD_BYTES
        )

    async def add(self, tenant_id: str, record: DecisionRecord, text: bytes) -> None:
        """Add a decision that Kafka has.

        Args:
            tenant_id: Its tenant.
            record: The decision.
            text: The record as it is in Kafka.
        """
        entry = _RecentDecision(record.customer_id, record.decided_at_ms, zlib.compress(text, 1))
        self._known[tenant_id, record.recommendation_id] = entry
        if self._shared is not None:
            key = CustomerKey(tenant_id, record.customer_id)
            await self._shared.add(key, record.recommendation_id, msgspec.msgpack.encode(entry))

    def customers(self) -> set[tuple[str, str]]:
        """Return the customers of decisions in memory: (tenant, customer)."""
        return {(tenant_id, entry.customer_id) for (tenant_id, _), entry in self._known.items()}

    def forget(self, customers: Collection[tuple[str, str]]) -> None:
        """Remove the decisions about some customers from memory."""
        for key in [key for key, entry in self._known.items() if (key[0], entry.customer_id) in customers]:
            del self._known[key]

    async def find(self, tenant_id: str, recommendation_id: str) -> StoredDecision | None:
        """Find the decision of a recommendation; None if there is none.

        One made within the last minute by another process is waited for, up to some 1.5 s, where Redis does not
        have it.

        Raises:
            StorageError: It is in neither memory nor Redis, and ClickHouse does not answer.
        """
        entry = self._known.get((tenant_id, recommendation_id))
        if entry is None and self._is_recent(recommendation_id):
            entry = await self._find_shared(tenant_id, recommendation_id)
        if entry is not None:
            return StoredDecision(
                customer_id=entry.customer_id,
                recommendation_id=recommendation_id,
                decided_at_ms=entry.decided_at_ms,
                decision=zlib.decompress(entry.compressed).decode(),
            )
        return await self._look_up(tenant_id, recommendation_id)

    async def find_item(self, tenant_id: str, recommendation_id: str, rank: int) -> DecisionItem | None:
        """Find the item at a rank; None if there is no such recommendation, or it has fewer ranks.

        Raises:
            StorageError: As :meth:`find`.
        """
        found = await self.find(tenant_id, recommendation_id)
        return None if found is None else next((item for item in list_items(found) if item.rank == rank), None)

    async def _find_shared(self, tenant_id: str, recommendation_id: str) -> _RecentDecision | None:
        text = None if self._shared is None else await self._shared.find(tenant_id, recommendation_id)
        return None if text is None else msgspec.msgpack.decode(text, type=_RecentDecision)

    async def _look_up(self, tenant_id: str, recommendation_id: str) -> StoredDecision | None:
        found = await self._database.call(find_decision, tenant_id, recommendation_id)
        for pause_s in PAUSES_S if found is None and self._is_recent(recommendation_id) else ():
            await asyncio.sleep(pause_s)
            found = await self._database.call(find_decision, tenant_id, recommendation_id)
            if found is not None:
                break
        if found is not None:
            compressed = zlib.compress(found.decision.encode(), 1)
            entry = _RecentDecision(found.customer_id, found.decided_at_ms, compressed)
            self._known[tenant_id, recommendation_id] = entry
        return found

    def _is_recent(self, recommendation_id: str) -> bool:
        made_ms = decode_created_at_ms(recommendation_id)
        return made_ms is not None and abs(self._clock() - made_ms) < RECENT_MS
