"""Idempotency store: an event that is sent again gets the result of the first time.

The stream counts a key once in any case; this module finds the answer, in this order:

1. This process: events that it has written in the last hour, or is writing now.
2. Redis, where processes share one: the events of all of them.
3. The tables: everything that has been applied within the horizon of duplicates.

So without Redis, two processes that get the same key within the moment the stream needs may both answer 201. What does
not answer is left out: a response that is lost is worse than one that is acknowledged twice.
"""

from __future__ import annotations

import asyncio
import time
from itertools import chain
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from cachetools import TTLCache
from redis.exceptions import RedisError

from api.http.errors import ApiError
from api.runtime.idempotency_redis import RedisClaims
from rapport.storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from api.runtime.loader import Loader
    from api.runtime.watermark import Watermark
    from rapport.domain.payloads import PayloadHashes
    from rapport.state.shared_state import SharedState
    from rapport.storage.recorded_events import EventKey, RecordedEvent

log = structlog.get_logger(__name__)

KEPT: Final = 200_000
KEPT_S: Final = 3_600.0
APPLIED_WITHIN_S: Final = 2.0
"""How long an event that is being applied is waited for."""


class WrittenEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event in the log.

    Attributes:
        position: ``partition:offset``; empty where the log is another one by now.
        occurred_at_ms: Epoch milliseconds.
        payload_hash: Tells a repetition from another event with the same key.
    """

    interaction_id: str
    position: str
    occurred_at_ms: int
    payload_hash: int


class IdempotencyStore:
    """Idempotency store: writes each event once.

    Args:
        recorded: Looks keys up in the tables.
        watermark: Knows the logs.
        shared: Redis, if processes share one.
        patience_s: How long another process may take to write.
    """

    def __init__(
        self,
        recorded: Loader[EventKey, RecordedEvent | None],
        watermark: Watermark,
        shared: SharedState | None,
        *,
        patience_s: float,
    ) -> None:
        self._recorded = recorded
        self._watermark = watermark
        self._shared = RedisClaims(shared, patience_s) if shared else None
        self._writing: dict[EventKey, asyncio.Future[WrittenEvent]] = {}
        self._written: TTLCache[EventKey, WrittenEvent] = TTLCache(KEPT, KEPT_S)

    async def write_once(
        self, key: EventKey, payload: PayloadHashes, write: Callable[[], Awaitable[WrittenEvent]]
    ) -> tuple[WrittenEvent, bool]:
        """Write an event, or find the one that was written with its key.

        Returns:
            The event in the log, and whether it was there before.

        Raises:
            ApiError: 409 if the key was used for another event. Errors of ``write`` pass through.
        """
        while (pending := self._writing.get(key)) is not None:
            try:
                first = await asyncio.shield(pending)
            except (ApiError, asyncio.CancelledError):
                if not pending.done():
                    raise  # this request was cancelled, not the one that writes
                continue  # it did not get through: now it is our turn
            return _repeated(first, payload), True
        written = self._written.get(key)
        if written is not None:
            return _repeated(written, payload), True
        writing = self._writing[key] = asyncio.get_running_loop().create_future()
        try:
            event, is_duplicate = await self._find_or_write(key, write)
        except BaseException as error:
            writing.set_exception(error if isinstance(error, ApiError) else asyncio.CancelledError())
            writing.exception()  # whoever waits sees it; nobody may
            raise
        else:
            writing.set_result(event)
            self._written[key] = event
        finally:
            del self._writing[key]
        return (_repeated(event, payload) if is_duplicate else event), is_duplicate

    def customers(self) -> set[tuple[str, str]]:
        """Return the customers of remembered events: (tenant, customer)."""
        return {(key.tenant_id, key.customer_id) for key in chain(self._writing, self._written)}

    def forget(self, customers: Collection[tuple[str, str]]) -> None:
        """Remove the events of some customers, except those being written. Redis holds hashes only."""
        for key in list(self._written):
            if (key.tenant_id, key.customer_id) in customers:
                self._written.pop(key, None)

    async def _find_or_write(
        self, key: EventKey, write: Callable[[], Awaitable[WrittenEvent]]
    ) -> tuple[WrittenEvent, bool]:
        if self._shared is None:
            return await self._apply(key, write)
        try:
            claim = await self._shared.claim(key)
        except RedisError:  # this process keeps to itself meanwhile
            return await self._apply(key, write)
        if isinstance(claim, bytes):
            return msgspec.json.decode(claim, type=WrittenEvent), True
        async with claim:
            event, is_duplicate = await self._apply(key, write)
            claim.fulfil(msgspec.json.encode(event))
            return event, is_duplicate

    async def _apply(self, key: EventKey, write: Callable[[], Awaitable[WrittenEvent]]) -> tuple[WrittenEvent, bool]:
        recorded = await self._find_recorded(key)
        return (await write(), False) if recorded is None else (self._build_event(recorded), True)

    async def _find_recorded(self, key: EventKey) -> RecordedEvent | None:
        deadline = time.monotonic() + APPLIED_WITHIN_S
        try:
            while True:
                recorded = await self._recorded.load(key)
                if recorded is None or recorded.interaction_id:
                    return recorded
                if time.monotonic() > deadline:
                    return None  # the stream will tell whether it is a repetition
                await asyncio.sleep(0.05)
        except StorageError as error:
            log.warning("repetitions cannot be looked up; the stream will tell", error=str(error))
            return None

    def _build_event(self, recorded: RecordedEvent) -> WrittenEvent:
        partitions = {source.name: number for number, source in self._watermark.sources.items()}
        partition = partitions.get(recorded.source)
        return WrittenEvent(
            interaction_id=recorded.interaction_id,
            position="" if partition is None else f"{partition}:{recorded.offset}",
            occurred_at_ms=recorded.occurred_at_ms,
            payload_hash=recorded.payload_hash,
        )


def _repeated(first: WrittenEvent, payload: PayloadHashes) -> WrittenEvent:
    if first.payload_hash not in payload:
        raise ApiError(
            409,
            "Another interaction of this customer was recorded with this idempotency key; use a new key for a new one.",
            code="IDEMPOTENCY_CONFLICT",
        )
    return first
