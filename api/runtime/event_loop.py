"""Long work on the event loop gives other requests their turn."""

from __future__ import annotations

import asyncio
import time
from typing import Final

TURN_S: Final = 0.004


class Turns:
    """Counts how long one request has had the loop for itself."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until = time.monotonic() + TURN_S

    @property
    def is_over(self) -> bool:
        """Whether others should get their turn."""
        return time.monotonic() >= self._until

    async def give(self) -> None:
        """Let everything else run that is ready, and begin a new turn."""
        await asyncio.sleep(0)
        self._until = time.monotonic() + TURN_S
