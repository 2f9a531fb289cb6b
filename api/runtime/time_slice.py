"""Time slices of long work on the event loop."""

from __future__ import annotations

import asyncio
import time
from typing import Final

TURN_S: Final = 0.004


class TimeSlice:
    """Time slice of one request on the event loop."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until = time.monotonic() + TURN_S

    @property
    def is_over(self) -> bool:
        """Whether the slice is used up."""
        return time.monotonic() >= self._until

    async def yield_loop(self) -> None:
        """Let everything else run that is ready, and begin a new slice."""
        await asyncio.sleep(0)
        self._until = time.monotonic() + TURN_S
