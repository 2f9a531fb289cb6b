"""Pool of idle handles, each with a database and settings, for the next request that needs the same.

Opening a handle and setting both costs the engine as much as a small query does.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from rapport.embedded.clickhouse.engine_errors import EngineError

if TYPE_CHECKING:
    from rapport.embedded.clickhouse.engine import Engine
    from rapport.embedded.clickhouse.handles import Handle
    from rapport.embedded.clickhouse.http_requests import QueryRequest

MAX_IDLE: Final = 16
"""Most idle handles; beyond that, the one that has been idle longest is closed."""


class HandleConfig(NamedTuple):
    """Configuration of a handle before a request.

    Attributes:
        database: Its current database.
        settings: Settings that differ from the defaults, by name.
        is_marked: Whether its queries bear its mark.
    """

    database: str
    settings: tuple[tuple[str, str], ...]
    is_marked: bool

    @classmethod
    def from_request(cls, request: QueryRequest) -> HandleConfig:
        """Return the configuration for a request; a query that ends with its client must be findable by its mark."""
        return cls(request.database or "default", tuple(sorted(request.settings.items())), request.ends_with_client)

    def settings_for(self, handle: Handle) -> dict[str, str]:
        """Return all settings to be set on a handle."""
        return ({"log_comment": handle.mark} if self.is_marked else {}) | dict(self.settings)


class HandlePool:
    """Pool of configured handles; usable from any thread.

    Args:
        engine: Opens handles.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._lock = threading.Lock()
        self._waiting: list[tuple[HandleConfig, Handle]] = []
        self._is_closed = False

    def take(self, wanted: HandleConfig) -> Handle:
        """Return a handle for one request at a time.

        Raises:
            EngineError: 81 for an unknown database, 115 for an unknown setting, or what the engine says of a value.
        """
        with self._lock:
            for at in range(len(self._waiting) - 1, -1, -1):  # the last used first, so that surplus ones age
                if self._waiting[at][0] == wanted:
                    return self._waiting.pop(at)[1]
        handle = self.engine.open_handle()
        try:
            if wanted.database != "default":
                handle.use(wanted.database)
            handle.set(wanted.settings_for(handle))
        except EngineError:
            handle.close()
            raise
        return handle

    def give_back(self, handle: Handle, config: HandleConfig) -> None:
        """Take back a handle whose configuration is still the given one."""
        with self._lock:
            surplus: Handle | None = handle
            if not self._is_closed:
                self._waiting.append((config, handle))
                surplus = self._waiting.pop(0)[1] if len(self._waiting) > MAX_IDLE else None
        if surplus is not None:
            surplus.close()

    def close(self) -> None:
        """Close the idle handles, and from now on every one that is given back."""
        with self._lock:
            self._is_closed = True
            waiting, self._waiting = self._waiting, []
        for _, handle in waiting:
            handle.close()
