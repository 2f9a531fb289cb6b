"""Ending what runs beside the requests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


async def end(tasks: Iterable[asyncio.Task[Any]], *, again_after_s: float) -> None:
    """Cancel tasks, again and again until they have ended, and forget what they raised.

    Before Python 3.12 ``asyncio.wait_for``, which Kafka's client is full of, may lose a cancellation.

    Args:
        tasks: What to end.
        again_after_s: How long a task may take to clean up before it is cancelled once more.
    """
    asked = set(tasks)
    pending = asked
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=again_after_s)
    for task in asked:
        if not task.cancelled():
            task.exception()
