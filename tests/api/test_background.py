"""Ending what runs beside the requests."""

from __future__ import annotations

import asyncio

from api.background import end


def test_a_task_that_loses_its_first_cancellation_is_ended_all_the_same():
    async def deaf() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    async def failing() -> None:
        raise ValueError

    async def check() -> None:
        tasks = [asyncio.create_task(deaf()), asyncio.create_task(failing())]
        await asyncio.sleep(0)
        await end(tasks, again_after_s=0.01)
        assert all(task.done() for task in tasks)

    asyncio.run(check())
