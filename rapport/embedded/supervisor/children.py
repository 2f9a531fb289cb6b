"""Child processes of the local stack: their description, and a running one."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rapport.embedded.supervisor.child import wrap
from rapport.embedded.supervisor.guard import Guard, kill_group

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from rapport.embedded.supervisor.output import ChildOutput
    from rapport.embedded.supervisor.ports import PortClaim

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_DRAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """Policy for a child that is started again when it dies, unless it has died too often.

    Attributes:
        limit: This many deaths within the time below are a crash loop, and end the stack.
        within_seconds: Time for which a death counts.
        first_delay_seconds: The wait before the first restart; doubles with each death that counts.
        longest_delay_seconds: The longest wait.
    """

    limit: int = 5
    within_seconds: float = 60.0
    first_delay_seconds: float = 0.2
    longest_delay_seconds: float = 5.0

    def delay_seconds(self, deaths: int) -> float:
        """Return the wait after the given number of deaths that count (at least 1)."""
        return float(min(self.first_delay_seconds * 2 ** (deaths - 1), self.longest_delay_seconds))


@dataclass(frozen=True, slots=True)
class ShutdownPolicy:
    """Policy for a child whose death ends the stack, for the given reason (a clause: "its log is in memory")."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPolicy:
    """Health checks of a child that is ready.

    Attributes:
        interval_seconds: Time between two checks.
        attempt_seconds: A check that takes longer has failed.
        hung_after_seconds: When checks have failed for that long, the child is killed and restarted. One whose death
            would end the stack is left alone, with a warning: as long as it lives it may recover.
    """

    interval_seconds: float = 5.0
    attempt_seconds: float = 5.0
    hung_after_seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One process of the stack.

    Attributes:
        name: Lower case letters, digits and hyphens; names the log file.
        argv: The command, or a function called for each start.
        env: The whole environment; nothing is inherited.
        is_ready: True once the process can serve. False, OSError and TimeoutError mean "not yet"; any other exception
            is a failure. Also the health check.
        cwd: The working directory; by default the data directory.
        ready_within_seconds: Longest time a start may take.
        stop_within_seconds: Longest time it may take to stop after SIGTERM, before SIGKILL.
        on_death: Policy when it dies.
        health: Policy of its health checks.
        terminal_level: The lowest `logging` level that the terminal shows.
        quiet: Whether lines go to the log file only.
        ports: The ports it will listen on.
    """

    name: str
    argv: Sequence[str] | Callable[[], Sequence[str]]
    env: Mapping[str, str]
    is_ready: Callable[[], Awaitable[bool]]
    cwd: Path | None = None
    ready_within_seconds: float = 30.0
    stop_within_seconds: float = 10.0
    on_death: RestartPolicy | ShutdownPolicy = field(default_factory=RestartPolicy)
    health: HealthPolicy = field(default_factory=HealthPolicy)
    terminal_level: int = logging.INFO
    quiet: bool = False
    ports: tuple[PortClaim, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"the name of a child is lower case letters, digits and hyphens, not {self.name!r}")


class ChildProcess:
    """A child that can be started and stopped, again and again; it has at most one process at a time.

    It runs in a session and process group of its own: Ctrl-C in a terminal reaches the supervisor alone, and stopping
    it stops the processes it has started.
    """

    def __init__(self, child: Child, data_dir: Path, output: ChildOutput, guard: Guard) -> None:
        self.child = child
        self.output = output
        self._cwd = child.cwd or data_dir
        self._guard = guard
        self._process: asyncio.subprocess.Process | None = None
        self._pump: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, or None when it does not run."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def spawn(self) -> None:
        """Start the process.

        Its output comes through a pipe of our own, because asyncio's `Process.wait` would also wait for the end of an
        asyncio pipe, which a process that the child started may keep open.
        """
        argv = self.child.argv() if callable(self.child.argv) else self.child.argv
        read_end, write_end = os.pipe()
        self._pump = asyncio.create_task(self._carry_output(read_end))
        try:
            self._process = await asyncio.create_subprocess_exec(
                *wrap(argv, os.getpid()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                env=dict(self.child.env),
                cwd=self._cwd,
                start_new_session=True,
            )
        finally:
            os.close(write_end)
        self._guard.add(self._process.pid)

    async def wait(self) -> str:
        """Wait for the process to end, and describe how it ended."""
        code = 0 if self._process is None else await self._process.wait()
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"

    async def stop(self) -> bool:
        """Stop the process and all it started; return whether it stopped by itself in time. Harmless when repeated."""
        process = self._process
        if process is None:
            return True
        try:
            return await self._terminate(process)
        finally:
            kill_group(process.pid)
            await process.wait()
            self._guard.discard(process.pid)
            await self._drain()
            self._process = None

    def kill(self) -> None:
        """Kill the process and all it started, without waiting."""
        if self._process is not None:
            kill_group(self._process.pid)

    async def _terminate(self, process: asyncio.subprocess.Process) -> bool:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(self.child.stop_within_seconds):
                await process.wait()
        except TimeoutError:
            return False
        return True

    async def _carry_output(self, read_end: int) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", 0)
        )
        try:
            while chunk := await reader.read(64 * 1024):
                self.output.feed(chunk)
        finally:
            self.output.flush()
            transport.close()

    async def _drain(self) -> None:
        """Read the last output, for a limited time: a process that left the group may keep the pipe open."""
        if self._pump is not None:
            await asyncio.wait({self._pump}, timeout=_DRAIN_SECONDS)
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
            self._pump = None
