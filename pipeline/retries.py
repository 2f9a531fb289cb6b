"""Retries with exponential back-off while ClickHouse or Kafka is unavailable."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
from aiokafka.errors import KafkaError

from rapport.storage.errors import TransientStorageError

T = TypeVar("T")
FIRST_DELAY_S: Final = 0.1
LONGEST_DELAY_S: Final = 5.0

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
    delay = FIRST_DELAY_S
    while True:
        try:
            return await action()
        except (TransientStorageError, KafkaError, OSError) as error:
            log.warning("will try again", what=what, delay_s=round(delay, 2), error=str(error)[:500])
        await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - spreads workers, no secret
        delay = min(delay * 2, LONGEST_DELAY_S)
        on_retry()
