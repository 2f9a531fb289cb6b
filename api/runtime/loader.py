"""Request coalescing: one query answers requests that arrive together; it costs little more than one for one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from rapport.fairness import take_turns
from rapport.storage.errors import is_away

if TYPE_CHECKING:
    from prometheus_client import Histogram

K = TypeVar("K")
V = TypeVar("V")

CONCURRENT: Final = 2
"""Queries of one loader, unless it says otherwise."""


class Loader(Generic[K, V]):
    """Collects keys while queries run and has them fetched together.

    Tenants take turns in a query that cannot hold all who wait. A query that fails although the database is there is
    asked again for each tenant alone, and for one tenant in halves: other tenants have their answers after the second
    query, and the key that is at fault fails alone.

    The first key after a pause is fetched at once: waiting for company only pays where there is any, and then what is
    waited for are the queries that run.

    Args:
        fetch: Loads the values of keys, in their order. Its errors go to all waiting requests.
        max_batch: Keys of one query; 1 switches the collecting off.
        tenant_of: Returns the tenant of a key.
        concurrent: Queries that run at the same time; keys that arrive meanwhile go into the next.
        sizes: Observes how many keys a query had.
    """

    def __init__(
        self,
        fetch: Callable[[Sequence[K]], Awaitable[Sequence[V]]],
        *,
        max_batch: int,
        tenant_of: Callable[[K], Hashable] = lambda _key: "",
        concurrent: int = CONCURRENT,
        sizes: Histogram | None = None,
    ) -> None:
        self._fetch = fetch
        self._max_batch = max_batch
        self._tenant_of = tenant_of
        self._concurrent = concurrent if max_batch > 1 else 1 << 30
        self._sizes = sizes
        self._waiting: list[tuple[K, asyncio.Future[V]]] = []
        self._running: set[asyncio.Task[None]] = set()

    async def load(self, key: K) -> V:
        """Load the value of one key."""
        future: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, future))
        asyncio.get_running_loop().call_soon(self._start)
        return await future

    def _start(self) -> None:
        while self._waiting and len(self._running) < self._concurrent:
            if len(self._waiting) > self._max_batch:
                self._waiting = list(take_turns(self._waiting, lambda one: self._tenant_of(one[0])))
            batch, self._waiting = self._waiting[: self._max_batch], self._waiting[self._max_batch :]
            task = asyncio.create_task(self._answer(batch))
            self._running.add(task)
            task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._start()

    async def _answer(self, batch: Sequence[tuple[K, asyncio.Future[V]]]) -> None:
        wanted = [(key, future) for key, future in batch if not future.done()]
        if not wanted:
            return
        if self._sizes is not None:
            self._sizes.observe(len(wanted))
        try:
            values = await self._fetch([key for key, _ in wanted])
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            if len(wanted) > 1 and isinstance(error, Exception) and not is_away(error):
                await asyncio.gather(*map(self._answer, self._parts(wanted)))
                return
            for _, future in wanted:
                if not future.done():
                    future.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            return
        for (_, future), value in zip(wanted, values, strict=True):
            if not future.done():
                future.set_result(value)

    def _parts(self, wanted: Sequence[tuple[K, asyncio.Future[V]]]) -> Sequence[Sequence[tuple[K, asyncio.Future[V]]]]:
        """Split a query that failed: by tenant, or one tenant's in halves."""
        of_tenant: dict[Hashable, list[tuple[K, asyncio.Future[V]]]] = {}
        for one in wanted:
            of_tenant.setdefault(self._tenant_of(one[0]), []).append(one)
        middle = len(wanted) // 2
        return list(of_tenant.values()) if len(of_tenant) > 1 else [wanted[:middle], wanted[middle:]]
