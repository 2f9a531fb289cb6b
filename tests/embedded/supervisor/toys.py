"""Children for the tests of the supervisor, made from toy_child.py."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import psutil

from rapport.embedded.supervisor.children import Child

TOY = Path(__file__).with_name("toy_child.py")


def toy(directory: Path, name: str, *traits: str, **changes: Any) -> Child:
    """Return a child; it is ready once it has recorded its process id."""

    async def is_ready() -> bool:
        pid = read_pid(directory, name)
        return pid is not None and is_alive(pid)

    fields: dict[str, Any] = {
        "name": name,
        "argv": [sys.executable, "-I", "-S", str(TOY), str(directory), name, *traits],
        "env": dict(os.environ),
        "is_ready": is_ready,
        "stop_within_seconds": 5.0,
    }
    return Child(**(fields | changes))


def read_events(directory: Path) -> list[str]:
    """Return the recorded steps of the toys, in order."""
    path = directory / "events"
    return path.read_text().splitlines() if path.exists() else []


def read_pid(directory: Path, name: str, suffix: str = "pid") -> int | None:
    """Return the process id that a toy recorded last; that of its own child with the suffix `child`."""
    path = directory / f"{name}.{suffix}"
    return int(path.read_text()) if path.exists() and path.read_text() else None


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that is dead and only waits to be reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
