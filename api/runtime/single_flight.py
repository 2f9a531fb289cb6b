"""Single-flight: callers who want the same thing at the same time share one call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Shares one running call per key among its callers.

    The call has a task of its own: a caller who is cancelled does not cancel it for the others. Its error goes to all
    who wait for it.

    Args:
        call: Makes the call for a key.
    """

    def __init__(self, call: Callable[[K], Awaitable[V]]) -> None:
        self._call = call
        self._running: dict[K, asyncio.Task[V]] = {}

    async def join(self, key: K) -> V:
        """Return the result of the running call, or of one that begins now."""
        return await asyncio.shield(self.start(key))

    async def begin_anew(self, key: K) -> V:
        """Return the result of a call that begins after this moment; a running one may have missed something."""
        if (running := self._running.get(key)) is not None:
            await asyncio.wait([running])
        return await self.join(key)

    def start(self, key: K) -> asyncio.Task[V]:
        """Return the running call, or begin one. Whoever waits for it shields it from being cancelled."""
        if (task := self._running.get(key)) is None:
            task = self._running[key] = asyncio.create_task(self._run(key))
            task.add_done_callback(_retrieve)
        return task

    async def _run(self, key: K) -> V:
        try:
            return await self._call(key)
        finally:
            del self._running[key]  # before any waiting caller goes on: the next call is a new one


def _retrieve(task: asyncio.Task[V]) -> None:
    """Retrieve the error of a call that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
