"""Computing that takes longer than a few milliseconds, in threads beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Final, ParamSpec, TypeVar

from api.errors import ApiError

P = ParamSpec("P")
T = TypeVar("T")
DEADLINE_S: Final = 20.0
RETRY_AFTER_S: Final = 5
_threads: Final = ThreadPoolExecutor(2, thread_name_prefix="aside")
"""Few: they share the interpreter with the loop, which waits a moment for each of them at every turn."""


async def aside(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that waits for nothing in a thread.

    Raises:
        ApiError: 503; there is too much to compute already, or this takes too long.
    """
    call = partial(copy_context().run, partial(function, *args, **kwargs))
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await asyncio.get_running_loop().run_in_executor(_threads, call)
    except TimeoutError:
        detail = f"There was too much to compute within {DEADLINE_S:g} seconds; ask for less, or try again shortly."
        raise ApiError(503, detail, headers={"Retry-After": str(RETRY_AFTER_S)}) from None
