"""Readiness of ClickHouse and Kafka. ClickHouse is queried at most once a second."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from rapport.storage.errors import StorageError
from rapport.storage.tenants import load_tenants

if TYPE_CHECKING:
    from api.runtime.database import Database
    from api.runtime.event_producer import EventProducer
    from api.runtime.watermark import Watermark

KEPT_S: Final = 1.0
PATIENCE_S: Final = 2.0
"""A database that takes longer to answer than this counts as away."""


class Readiness:
    """Readiness, with the latest answer of ClickHouse; requests during a query share it."""

    def __init__(self, database: Database, producer: EventProducer, watermark: Watermark) -> None:
        self._database = database
        self._producer = producer
        self._watermark = watermark
        self._look: asyncio.Task[bool] | None = None
        self._begun_at = 0.0

    @property
    def takes_events(self) -> bool:
        """Whether Kafka takes events."""
        return self._producer.is_ready

    @property
    def lag_ms(self) -> int | None:
        """Age of the data that reads may show, in milliseconds; None while it is not known."""
        return self._watermark.lag_ms

    async def has_tables(self) -> bool:
        """Return whether ClickHouse answers and has the tables."""
        if self._look is None or (self._look.done() and time.monotonic() - self._begun_at >= KEPT_S):
            self._begun_at = time.monotonic()
            self._look = asyncio.create_task(self._ask())
        try:
            return await asyncio.wait_for(asyncio.shield(self._look), PATIENCE_S)
        except TimeoutError:
            return False

    async def _ask(self) -> bool:
        try:
            await self._database.call(load_tenants)
        except StorageError:
            return False
        return True
