"""Cache that loads its values by itself and keeps them fresh."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog
from cachetools import LRUCache

from api.runtime.single_flight import SingleFlight
from rapport.storage.errors import TransientStorageError

log = structlog.get_logger(__name__)
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class _Entry(Generic[V]):
    """A value, the time its load began, by the cache's clock, and the newest version then."""

    value: V
    loaded_at: float
    version: int


class RefreshingCache(Generic[K, V]):
    """Cache of loaded values.

    * Single-flight: requests for a key share one load, and one of them that is cancelled does not stop it.
    * Stale-while-revalidate: from ``fresh_s`` on, a request begins a load, and up to ``stale_s`` it returns the old
      value meanwhile. From ``stale_s`` on it waits for the load. So no returned value is older than the larger of both,
      as long as loads succeed. Age counts from the beginning of a load.
    * Versions: where one has grown since a load began, the value is loaded anew before it is returned.
    * Last known good: while the database is unavailable, the last value counts and is fresh for another ``fresh_s``.
      Other errors of a load go to all who wait for it, and the old value stays.
    * Bounded: of more than ``max_entries`` keys, the least recently used one is dropped.

    Args:
        name: Names the cache in the log.
        load: Loads the value of a key. It gets the old value, to return again if that is the newest; None without one.
        fresh_s: Seconds, or a function that returns them for a value.
        stale_s: Seconds; with 0 a request waits as soon as the value is no longer fresh.
        keeps_last_known: Whether the last value counts while the database is unavailable, or the error is raised.
        version: Newest version of a key, whose value may be None; never shrinks.
        clock: Returns seconds.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[K, V | None], Awaitable[V]],
        *,
        fresh_s: float | Callable[[V], float],
        stale_s: float,
        max_entries: int,
        keeps_last_known: bool = True,
        version: Callable[[K, V | None], int] = lambda _key, _value: 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._load = load
        self._fresh_s = fresh_s
        self._stale_s = stale_s
        self._keeps_last_known = keeps_last_known
        self._version = version
        self._clock = clock
        self._entries: LRUCache[K, _Entry[V]] = LRUCache(max_entries)
        self._loads = SingleFlight[K, V](self._load_entry)

    async def get(self, key: K) -> V:
        """Return the value of a key.

        Raises:
            Exception: As the load raised it, if this request waited for one.
        """
        entry = self._entries.get(key)
        if entry is None:
            return await self._loads.join(key)
        if entry.version < self._version(key, entry.value):
            return await self._loads.begin_anew(key)
        age_s = self._clock() - entry.loaded_at
        if age_s < (self._fresh_s(entry.value) if callable(self._fresh_s) else self._fresh_s):
            return entry.value
        load = self._loads.start(key)
        return entry.value if age_s < self._stale_s else await asyncio.shield(load)

    async def refresh(self, key: K) -> V:
        """Return a value whose load begins after this moment; for requests that must see every earlier change.

        Raises:
            Exception: As the load raised it.
        """
        return await self._loads.begin_anew(key)

    def peek(self, key: K) -> V | None:
        """Return the cached value, whatever its age; None if there is none."""
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    async def _load_entry(self, key: K) -> V:
        before = self._entries.get(key)
        loaded_at = self._clock()
        version = self._version(key, None if before is None else before.value)
        try:
            value = await self._load(key, None if before is None else before.value)
        except TransientStorageError as error:
            if before is None or not self._keeps_last_known:
                raise
            log.warning("a cache was not refreshed; the last known value holds", cache=self._name, error=str(error))
            value, loaded_at = before.value, self._clock()
        self._entries[key] = _Entry(value, loaded_at, version)
        return value
