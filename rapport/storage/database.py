"""ClickHouse for asynchronous code: connects when first needed, and runs each call in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, TypeVar

from rapport.storage.client import Announcer, QueryTimer, Store, connect

if TYPE_CHECKING:
    from rapport.settings import ClickHouseSettings

P = ParamSpec("P")
T = TypeVar("T")
THREADS: Final = 16
"""Calls that wait for ClickHouse at the same time; more wait for a thread."""


class Database:
    """Connection pool of the process. The API starts, and says so, while ClickHouse is still away."""

    def __init__(self, settings: ClickHouseSettings, timer: QueryTimer, announcer: Announcer | None = None) -> None:
        self._settings = settings
        self._timer = timer
        self._announcer = announcer
        self._store: Store | None = None
        self._connecting = threading.Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="clickhouse")

    async def call(self, function: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of ``rapport.storage`` in a thread.

        Raises:
            TransientStorageError: ClickHouse does not answer; the call may be repeated.
            TerminalStorageError: It refuses.
        """
        context = copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, lambda: context.run(lambda: function(self._connected(), *args, **kwargs))
        )

    def close(self) -> None:
        """Wait for the calls that run and close the connections."""
        self._threads.shutdown()
        if self._store is not None:
            self._store.close()

    def _connected(self) -> Store:
        if self._store is None:
            with self._connecting:
                if self._store is None:
                    self._store = connect(self._settings, timer=self._timer, announcer=self._announcer)
        return self._store
