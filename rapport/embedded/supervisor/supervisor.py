"""The supervisor of the local stack: starts its processes in order, watches and restarts them, and stops them all."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self, TextIO

from rapport.embedded.supervisor.children import Child, ChildProcess, RestartPolicy, ShutdownPolicy
from rapport.embedded.supervisor.errors import ChildFailedError, StackError
from rapport.embedded.supervisor.guard import Guard
from rapport.embedded.supervisor.liveness import wait_dead, wait_ready
from rapport.embedded.supervisor.lock import DataDirLock
from rapport.embedded.supervisor.output import ChildOutput, LogFile, Terminal
from rapport.embedded.supervisor.ports import check_ports

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path
    from types import TracebackType

OWN_NAME = "rapport"
"""Under which the supervisor's own lines appear; no child can have it."""


class Stack:
    """A list of child processes, started in order and stopped in reverse.

    A child that dies is restarted or ends the stack, as its `on_death` says. Either `await run_until_stopped()`, or use
    it as an async context manager (`start` and `stop`) that takes no signals. Run it from the main thread: the children
    die with the thread that started them (see `rapport.embedded.supervisor.child`).

    Args:
        children: In the order in which they start; each waits for the one before it to be ready.
        data_dir: Holds the logs (`logs/<name>.log`) and the lock; created if need be.
        stream: Receives the lines of the children; by default standard output.
        quiet: Whether lines go to the log files only.
    """

    def __init__(
        self, children: Sequence[Child], data_dir: Path, *, stream: TextIO | None = None, quiet: bool = False
    ) -> None:
        names = [child.name for child in children]
        if len({OWN_NAME, *names}) <= len(names):
            raise ValueError(f"the names of children must differ, also from {OWN_NAME!r}: {names}")
        self._children = tuple(children)
        self._data_dir = data_dir
        self._lock = DataDirLock(data_dir)
        self._guard = Guard()
        self._terminal = Terminal(stream or sys.stdout, [OWN_NAME, *names], quiet=quiet)
        self._log: LogFile | None = None
        self._running: dict[str, ChildProcess] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._failed = asyncio.Event()
        self._failure: BaseException | None = None

    @property
    def failure(self) -> BaseException | None:
        """Error that ended the stack, if any has."""
        return self._failure

    def pid(self, name: str) -> int:
        """Return the process id of a child.

        Raises:
            StackError: When it does not run at the moment.
        """
        process = self._running.get(name)
        if process is None or process.pid is None:
            raise StackError(f"{name} is not running")
        return process.pid

    async def start(self) -> None:
        """Start every child, each once the one before it is ready. When one fails, those that run are stopped.

        Raises:
            DataDirInUseError: When another stack runs on the data directory.
            PortInUseError: When a child's port cannot be opened.
            ChildFailedError: When a child died or was not ready in time; with its last lines.
        """
        self._lock.acquire()
        self._failed.clear()
        self._failure = None
        try:
            check_ports(port for child in self._children for port in child.ports)
            self._log = LogFile(self._data_dir / "logs" / f"{OWN_NAME}.log")
            self._guard.start()
            for child in self._children:
                process = ChildProcess(child, self._data_dir, self._open_output(child), self._guard)
                self._running[child.name] = process
                await self._run_unless_failed(self._launch_or_fail(process))
                self._watch(process)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop every child, the last one first, with all processes they started; harmless when repeated."""
        for watcher in self._watchers.values():
            watcher.cancel()
        await asyncio.gather(*self._watchers.values(), return_exceptions=True)
        self._watchers.clear()
        try:
            for process in reversed(self._running.values()):
                await self._halt(process)
        finally:
            self._kill()
            for process in self._running.values():
                process.output.close()
            self._running.clear()
            self._guard.stop()
            if self._log is not None:
                self._log.close()
                self._log = None
            self._lock.release()

    async def restart(self, name: str) -> None:
        """Stop a child and start it again, and wait until it is ready. This does not count as a death.

        Raises:
            StackError: When there is no such child.
            ChildFailedError: When it did not become ready again, which ends the stack.
        """
        process = self._running.get(name)
        if process is None:
            raise StackError(f"{name} is not running")
        if watcher := self._watchers.pop(name, None):
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
        await self._halt(process)
        try:
            await self._launch_or_fail(process)
        except ChildFailedError as error:
            self._fail(error)
            raise
        self._watch(process)

    async def run_until_stopped(self, on_started: Callable[[], Awaitable[None]] | None = None) -> None:
        """Start the stack unless it runs, and stop it at SIGINT, SIGTERM or SIGHUP, or when a child ends it.

        A second signal kills what has not stopped yet. SIGHUP is left ignored where it is (`nohup`).

        Args:
            on_started: Called once every child is ready.

        Raises:
            StackError: When the stack could not start, or a child ended it.
        """
        loop = asyncio.get_running_loop()
        work = asyncio.create_task(self._work(on_started))
        signalled = asyncio.Event()

        def heed_signal() -> None:
            if signalled.is_set():
                self._kill()
            else:
                self._print("stopping")
            signalled.set()
            work.cancel()

        signals = [s for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if not _is_left_ignored(s)]
        for number in signals:
            loop.add_signal_handler(number, heed_signal)
        try:
            await work
        except asyncio.CancelledError:
            if not signalled.is_set():
                raise
        finally:
            await self.stop()
            for number in signals:
                loop.remove_signal_handler(number)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _work(self, on_started: Callable[[], Awaitable[None]] | None) -> None:
        if not self._running:
            await self.start()
        if on_started is not None:
            await self._run_unless_failed(on_started())
        await self._run_unless_failed(self._failed.wait())

    async def _run_unless_failed(self, step: Awaitable[object]) -> None:
        """Wait for a step, but no longer than the children that run already stay up.

        Raises:
            StackError: The error that ended the stack meanwhile.
        """
        work = asyncio.ensure_future(step)
        failed = asyncio.create_task(self._failed.wait())
        try:
            await asyncio.wait({work, failed}, return_when=asyncio.FIRST_COMPLETED)
            if self._failure is not None:
                raise self._failure
            await work
        finally:
            failed.cancel()
            work.cancel()
            await asyncio.gather(work, failed, return_exceptions=True)

    async def _launch(self, process: ChildProcess) -> str | None:
        """Start a child and wait until it is ready; return the fault, if any."""
        clock = asyncio.get_running_loop().time
        started_at = clock()
        await process.spawn()
        fault = await wait_ready(process)
        if fault is None:
            self._print(
                f"{process.child.name} is ready (process {process.pid}, {1000 * (clock() - started_at):.0f} ms)"
            )
        return fault

    async def _launch_or_fail(self, process: ChildProcess) -> None:
        if fault := await self._launch(process):
            raise _make_error(process, fault)

    async def _halt(self, process: ChildProcess) -> None:
        if not await process.stop():
            patience = process.child.stop_within_seconds
            self._print(f"{process.child.name} did not stop within {patience:g} s and was killed")

    def _watch(self, process: ChildProcess) -> None:
        watcher = asyncio.create_task(self._keep_alive(process))
        watcher.add_done_callback(self._heed_watcher)
        self._watchers[process.child.name] = watcher

    def _heed_watcher(self, watcher: asyncio.Task[None]) -> None:
        if not watcher.cancelled() and (error := watcher.exception()):
            self._fail(error)

    async def _keep_alive(self, process: ChildProcess) -> None:
        """Restart a child whenever it dies.

        Raises:
            ChildFailedError: When it may not be restarted, or has died too often.
        """
        child, clock = process.child, asyncio.get_running_loop().time
        deaths: deque[float] = deque()
        while True:
            how: str | None = await wait_dead(process, lambda finding: self._print(f"{child.name} {finding}"))
            while how is not None:
                await process.stop()
                if isinstance(child.on_death, ShutdownPolicy):
                    raise _make_error(process, f"{how}; the stack ends, because {child.on_death.reason}")
                deaths.append(clock())
                while deaths[0] < clock() - child.on_death.within_seconds:
                    deaths.popleft()
                if len(deaths) >= child.on_death.limit:
                    raise _make_error(process, _describe_crash_loop(child.on_death, how))
                delay = child.on_death.delay_seconds(len(deaths))
                self._print(f"{child.name} {how}; restarting it in {delay:g} s")
                await asyncio.sleep(delay)
                how = await self._launch(process)

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
        self._failed.set()

    def _kill(self) -> None:
        for process in self._running.values():
            process.kill()

    def _open_output(self, child: Child) -> ChildOutput:
        log = LogFile(self._data_dir / "logs" / f"{child.name}.log")
        terminal = None if child.quiet else self._terminal
        return ChildOutput(child.name, log, terminal, terminal_level=child.terminal_level)

    def _print(self, text: str) -> None:
        if self._log is not None:
            self._log.write(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {text}".encode())
        self._terminal.show(OWN_NAME, text)


def _make_error(process: ChildProcess, what: str) -> ChildFailedError:
    return ChildFailedError(f"{process.child.name} {what}.\n{process.output.tail()}")


def _describe_crash_loop(policy: RestartPolicy, how: str) -> str:
    return f"died {policy.limit} times within {policy.within_seconds:g} s (last: {how}); the stack ends"


def _is_left_ignored(number: signal.Signals) -> bool:
    return number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN
