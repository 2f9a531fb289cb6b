"""Optimistic locking: a write that another writer preceded is decided again."""

from __future__ import annotations

from typing import Final

from stamina import RetryingCaller

from rapport.storage.errors import TransientStorageError

MAX_ATTEMPTS: Final = 100
SPREAD_S: Final = 0.03
"""Longest pause before another attempt; its length is random, so that competing writers do not collide again."""


class ContestedWriteError(TransientStorageError):
    """Another writer came first. The attempt had no effect.

    Args:
        target: Names what was written.
    """

    def __init__(self, target: str) -> None:
        super().__init__(f"{target} was changed by others before each of {MAX_ATTEMPTS} attempts")


retry_contested: Final = RetryingCaller(
    attempts=MAX_ATTEMPTS, timeout=None, wait_initial=0.0, wait_jitter=SPREAD_S, wait_max=SPREAD_S
).on(ContestedWriteError)
"""Calls a function that reads, decides and writes, until no other writer comes first.

Raises:
    ContestedWriteError: Others came first each time.
"""
