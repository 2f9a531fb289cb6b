"""A process that outlives a killed supervisor for a moment, and kills its remaining children.

`rapport.embedded.supervisor.child` makes the kernel kill each child with the supervisor, but not the processes those
children started (a web server's workers, say). The supervisor tells this process the process groups of its children
through a pipe; when the pipe ends, whatever the reason, every group still on the list is killed. It runs as a script in
an isolated interpreter and imports the standard library only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def kill_group(group: int) -> None:
    """Kill every process of a group; a group that is gone is fine."""
    with suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
        os.killpg(group, signal.SIGKILL)


def watch(orders: BinaryIO) -> None:
    """Follow `+GROUP` and `-GROUP` lines until they end, then kill the groups that remain."""
    groups: set[int] = set()
    for line in orders:
        sign, group = line[:1], int(line[1:])
        (groups.add if sign == b"+" else groups.discard)(group)
    for group in groups:
        kill_group(group)


class Guard:
    """The supervisor's end of the pipe."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, in a session of its own so that no terminal or group signal reaches it."""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )

    def add(self, group: int) -> None:
        """Add a process group to the list."""
        self._tell(f"+{group}\n")

    def discard(self, group: int) -> None:
        """Take a process group off the list, once all its processes have ended."""
        self._tell(f"-{group}\n")

    def stop(self) -> None:
        """End the pipe, and with it the process."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()
            self._process = None

    def _tell(self, order: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):  # the guard was killed: the kernel still kills the children
                self._process.stdin.write(order.encode())


if __name__ == "__main__":
    watch(sys.stdin.buffer)
