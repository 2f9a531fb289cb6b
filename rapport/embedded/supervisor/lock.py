"""Lock that allows one stack for each data directory."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from rapport.embedded.supervisor.errors import DataDirInUseError

if TYPE_CHECKING:
    from pathlib import Path

LOCK_FILE = "stack.lock"


class DataDirLock:
    """An advisory lock on a data directory.

    The kernel drops it when the process dies, however that happens, so it is never stale. The file stays: a lock on a
    file that another process has just removed would guard nothing.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Create the directory if need be, and take the lock.

        Raises:
            DataDirInUseError: When another process holds it, or this one already does.
        """
        self._data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise DataDirInUseError(
                f"The data directory {self._data_dir} is in use by another stack (process {holder}): "
                "stop that one, or choose another directory with --data-dir."
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
