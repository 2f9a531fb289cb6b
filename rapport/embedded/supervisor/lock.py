"""Lock that allows one stack for each data directory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from rapport.embedded.supervisor.errors import DataDirInUseError

if TYPE_CHECKING:
    from pathlib import Path

LOCK_FILE = "stack.lock"


class DataDirLock:
    """An advisory lock on a data directory.

    The kernel drops it when the process dies, however that happens, so it is never stale. The file stays: a lock on a
    file that another process has just removed would guard nothing. It holds the number of the process.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._held: FileLock | None = None

    def acquire(self) -> None:
        """Create the directory if need be, and take the lock.

        Raises:
            DataDirInUseError: When another process holds it, or this one already does.
        """
        self._data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._data_dir / LOCK_FILE
        lock = FileLock(path, timeout=0, thread_local=False, preserve_lock_file=True)
        try:
            lock.acquire()
        except Timeout:
            holder = path.read_text("ascii", "replace")[:32].strip() or "unknown"
            raise DataDirInUseError(
                f"The data directory {self._data_dir} is in use by another stack (process {holder}): "
                "stop that one, or choose another directory with --data-dir."
            ) from None
        path.write_text(f"{os.getpid()}\n", "ascii")
        self._held = lock

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._held is not None:
            self._held.release()
            self._held = None
