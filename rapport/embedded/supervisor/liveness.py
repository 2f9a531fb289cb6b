"""Waits of the supervisor, each with a deadline: until a child is ready, and until it dies."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rapport.embedded.supervisor.children import ChildProcess, ShutdownPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

_READY_INTERVAL_SECONDS = 0.05
_NOT_READY = "its check says not ready"


async def wait_ready(process: ChildProcess) -> str | None:
    """Wait until a child that has just been started is ready.

    Returns:
        None when it is; otherwise the failure (a clause: "exited with code 1 before it was ready"), and the child
        has been stopped, so that its output is complete.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + process.child.ready_within_seconds
    problem = _NOT_READY
    death = asyncio.create_task(process.wait())
    try:
        while (left := deadline - clock()) > 0 and not death.done():
            answer = await _attempt_while_alive(process, death, left)
            if answer is None:
                return None
            problem = answer
            await asyncio.wait({death}, timeout=min(_READY_INTERVAL_SECONDS, left))
        fault = f"was not ready after {process.child.ready_within_seconds:g} s ({problem})"
        if death.done():
            fault = f"{death.result()} before it was ready"
        await process.stop()
    finally:
        death.cancel()
    return fault


async def wait_dead(process: ChildProcess, warn: Callable[[str], None]) -> str:
    """Wait until a child dies or counts as hung, and describe how (a clause: "was killed by SIGKILL").

    A child whose death ends the stack never counts as hung: `warn` is called instead.
    """
    death = asyncio.create_task(process.wait())
    silence = asyncio.create_task(_wait_hung(process, warn))
    try:
        await asyncio.wait({death, silence}, return_when=asyncio.FIRST_COMPLETED)
        return death.result() if death.done() else silence.result()
    finally:
        death.cancel()
        silence.cancel()


async def _wait_hung(process: ChildProcess, warn: Callable[[str], None]) -> str:
    health = process.child.health
    clock = asyncio.get_running_loop().time
    answered_at = clock()
    while True:
        await asyncio.sleep(health.interval_seconds)
        problem = await _attempt(process, health.attempt_seconds)
        silent_seconds = clock() - answered_at
        if problem is None:
            answered_at = clock()
        elif silent_seconds >= health.hung_after_seconds:
            finding = f"has failed its health check for {silent_seconds:.0f} s ({problem})"
            if not isinstance(process.child.on_death, ShutdownPolicy):
                return finding
            warn(finding)


async def _attempt_while_alive(process: ChildProcess, death: asyncio.Task[str], seconds: float) -> str | None:
    check = asyncio.create_task(_attempt(process, seconds))
    try:
        await asyncio.wait({check, death}, return_when=asyncio.FIRST_COMPLETED)
        return check.result() if check.done() and not death.done() else _NOT_READY
    finally:
        check.cancel()
        await asyncio.gather(check, return_exceptions=True)


async def _attempt(process: ChildProcess, seconds: float) -> str | None:
    """Run the check once; return the fault, if any."""
    try:
        async with asyncio.timeout(seconds):
            return None if await process.child.is_ready() else _NOT_READY
    except (OSError, TimeoutError) as error:
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
