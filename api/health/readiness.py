"""Readiness of ClickHouse and Kafka, and of the background jobs. ClickHouse is queried at most once a second."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from api.runtime.refreshing_cache import RefreshingCache
from rapport.storage.errors import StorageError
from rapport.storage.jobs import read_lease

if TYPE_CHECKING:
    from api.runtime.event_producer import EventProducer
    from api.runtime.watermark import Watermark
    from rapport.state.shared_state import SharedState
    from rapport.storage.database import Database

KEPT_S: Final = 1.0
PATIENCE_S: Final = 2.0
"""A database that takes longer to answer than this counts as away."""
_TABLES: Final = "tables"


class Readiness:
    """Readiness, with the latest answer of ClickHouse; requests during a query share it."""

    def __init__(
        self, database: Database, producer: EventProducer, watermark: Watermark, shared: SharedState | None
    ) -> None:
        self._database = database
        self._producer = producer
        self._watermark = watermark
        self._shared = shared
        self._tables = RefreshingCache[str, bool](
            "readiness", lambda _tables, _before: self._ask(), fresh_s=KEPT_S, stale_s=KEPT_S, max_entries=1
        )
        self._runs_jobs = False

    @property
    def takes_events(self) -> bool:
        """Whether Kafka takes events."""
        return self._producer.is_ready

    @property
    def shares_state(self) -> bool:
        """Whether Valkey answers: without it the process serves by itself, slower and with caps of its own."""
        return self._shared is not None and not self._shared.is_away

    @property
    def lag_ms(self) -> int | None:
        """Age of the data that reads may show, in milliseconds; None while it is not known."""
        return self._watermark.lag_ms

    @property
    def runs_jobs(self) -> bool:
        """Whether a process ran the background jobs when ClickHouse last answered."""
        return self._runs_jobs

    async def has_tables(self) -> bool:
        """Return whether ClickHouse answers and has the tables."""
        try:
            return await asyncio.wait_for(self._tables.get(_TABLES), PATIENCE_S)
        except TimeoutError:
            return False

    async def _ask(self) -> bool:
        try:
            lease = await self._database.call(read_lease)  # of the newest tables, so all are there
        except StorageError:
            return False
        self._runs_jobs = lease is not None and lease.is_held
        return True
