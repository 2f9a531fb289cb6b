"""Calls of a client over its connections: a cancellation does not cut them off, and their end is awaited."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from rapport.kafka import clients
from rapport.kafka.clients import finish_call


async def finish(steps: list[str]) -> None:
    await asyncio.sleep(0.05)
    steps.append("done")


async def fail_soon(steps: list[str]) -> None:
    await asyncio.sleep(0.05)
    steps.append("failing")
    raise OSError("the connection is gone")


async def fail_when_cancelled(steps: list[str]) -> None:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        steps.append("failing")
        raise OSError("the connection is gone") from None


@pytest.mark.parametrize(
    ("doing", "expected"), [(finish, "done"), (fail_soon, "failing"), (fail_when_cancelled, "failing")]
)
def test_a_cancelled_caller_waits_for_the_call_to_end_and_reports_it(
    doing: Callable[[list[str]], Coroutine[Any, Any, None]], expected: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(clients, "FINISH_S", 0.2)
    steps: list[str] = []
    unseen: list[dict[str, Any]] = []

    async def cancel() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unseen.append(context))
        caller = asyncio.ensure_future(finish_call(doing(steps)))
        await asyncio.sleep(0.01)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await asyncio.sleep(0.01)
        gc.collect()

    asyncio.run(cancel())
    assert (steps, unseen) == ([expected], [])
