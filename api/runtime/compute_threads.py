"""Threads for computations of more than a few milliseconds, beside the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from api.http.errors import ApiError

P = ParamSpec("P")
T = TypeVar("T")
THREADS: Final = 2
"""Few: they share the interpreter with the loop, which waits a moment for each of them at every turn."""
DEADLINE_S: Final = 20.0
RETRY_AFTER_S: Final = 5


class ComputeThreads:
    """Runs calls in threads. Tenants take turns, and none has more than one thread: another finds one that is free.

    Python cannot stop a thread. A call that nobody waits for any more is not begun, and one that has been goes on to
    its end, in the one thread that its tenant has.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="run_in_thread")
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, deque[tuple[Future[Any], Callable[[], Any]]]] = OrderedDict()
        self._busy: set[str] = set()

    def submit(self, tenant_id: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a call for a tenant, behind the tenant's earlier ones."""
        future: Future[T] = Future()
        with self._lock:
            self._waiting.setdefault(tenant_id, deque()).append((future, partial(function, *args, **kwargs)))
        self._pool.submit(self._work)
        return future

    def _work(self) -> None:
        """Make calls while there are any of tenants that have no thread; other threads make those of theirs."""
        while (tenant_id := self._take_tenant()) is not None:
            try:
                self._call_next(tenant_id)
            finally:
                with self._lock:
                    self._busy.discard(tenant_id)

    def _take_tenant(self) -> str | None:
        with self._lock:
            tenant_id = next((one for one in self._waiting if one not in self._busy), None)
            if tenant_id is not None:
                self._busy.add(tenant_id)
            return tenant_id

    def _call_next(self, tenant_id: str) -> None:
        with self._lock:
            future, call = self._waiting[tenant_id].popleft()
            self._waiting.move_to_end(tenant_id)
            if not self._waiting[tenant_id]:
                del self._waiting[tenant_id]
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            future.set_exception(error)


_threads: Final = ComputeThreads()


async def run_in_thread(tenant_id: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that computes in a thread, for a tenant.

    Raises:
        ApiError: 503; there is too much to compute already, or this takes too long.
    """
    call = partial(function, *args, **kwargs)
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await asyncio.wrap_future(_threads.submit(tenant_id, copy_context().run, call))
    except TimeoutError:
        detail = f"There was too much to compute within {DEADLINE_S:g} seconds; ask for less, or try again shortly."
        raise ApiError(503, detail, headers={"Retry-After": str(RETRY_AFTER_S)}) from None
