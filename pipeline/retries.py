"""Retries with exponential back-off while ClickHouse or Kafka is unavailable."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
from aiokafka.errors import KafkaError
from stamina import retry_context

from rapport.storage.errors import TransientStorageError

T = TypeVar("T")
FIRST_DELAY_S: Final = 0.1
LONGEST_DELAY_S: Final = 5.0
SPREAD_S: Final = 0.1
"""Delays are longer by up to that, at random, so that workers do not come back together."""
UNAVAILABLE: Final = (TransientStorageError, KafkaError, OSError)

log = structlog.get_logger(__name__)


async def retry_while_unavailable(
    action: Callable[[], Awaitable[T]], what: str, *, on_retry: Callable[[], None] = lambda: None
) -> T:
    """Repeat an action while ClickHouse or Kafka is unavailable. Other errors pass through; cancellation ends it.

    Args:
        action: Must be safe to repeat.
        what: Name of the action, for the log.
        on_retry: Called before each repetition; may raise to give up.
    """
    async for attempt in retry_context(
        UNAVAILABLE,
        attempts=None,
        timeout=None,
        wait_initial=FIRST_DELAY_S,
        wait_max=LONGEST_DELAY_S,
        wait_jitter=SPREAD_S,
    ):
        if attempt.num > 1:
            on_retry()
        with attempt:
            try:
                return await action()
            except UNAVAILABLE as error:
                log.warning("will try again", what=what, delay_s=round(attempt.next_wait, 2), error=str(error)[:500])
                raise
    raise AssertionError("attempts do not end")
