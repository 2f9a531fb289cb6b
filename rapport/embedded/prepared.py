"""Handles that wait, with a database and settings, for the next request that wants the same.

Opening a handle and telling it both costs the engine as much as a small query does.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from rapport.embedded.engine_errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rapport.embedded.engine import Engine
    from rapport.embedded.handles import Handle

KEPT: Final = 16
"""How many handles may wait; beyond that, the one that has waited longest is closed."""

_Key = tuple[str, tuple[tuple[str, str], ...], bool]


class PreparedHandles:
    """Hands out prepared handles. For any thread.

    Args:
        engine: Opens them.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._lock = threading.Lock()
        self._waiting: list[tuple[_Key, Handle]] = []
        self._is_closed = False

    def take(self, database: str | None, settings: Mapping[str, str], *, marks: bool) -> Handle:
        """Return a handle for one request at a time.

        Args:
            database: Its current database, None for the default one.
            settings: What differs from the defaults.
            marks: Whether its queries bear its mark.

        Raises:
            EngineError: 81 for an unknown database, 115 for an unknown setting, or what the engine says of a value.
        """
        key = _key(database, settings, marks=marks)
        with self._lock:
            for at in range(len(self._waiting) - 1, -1, -1):  # the last used first, so that surplus ones age
                if self._waiting[at][0] == key:
                    return self._waiting.pop(at)[1]
        handle = self.engine.open_handle()
        try:
            if key[0] != "default":
                handle.use(key[0])
            handle.set({"log_comment": handle.mark, **settings} if marks else settings)
        except EngineError:
            handle.close()
            raise
        return handle

    def give_back(self, handle: Handle, database: str | None, settings: Mapping[str, str], *, marks: bool) -> None:
        """Take a handle back that is as `take` gave it; no other must be given back."""
        with self._lock:
            surplus: Handle | None = handle
            if not self._is_closed:
                self._waiting.append((_key(database, settings, marks=marks), handle))
                surplus = self._waiting.pop(0)[1] if len(self._waiting) > KEPT else None
        if surplus is not None:
            surplus.close()

    def close(self) -> None:
        """Close those that wait, and from now on every one that is given back."""
        with self._lock:
            self._is_closed = True
            waiting, self._waiting = self._waiting, []
        for _, handle in waiting:
            handle.close()


def _key(database: str | None, settings: Mapping[str, str], *, marks: bool) -> _Key:
    return database or "default", tuple(sorted(settings.items())), marks
