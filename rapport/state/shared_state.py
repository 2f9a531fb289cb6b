"""Redis, or Valkey, with the state that several API processes share."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rapport.settings import ApiSettings

log = structlog.get_logger(__name__)
T = TypeVar("T")
TIMEOUT_S: Final = 0.5
"""A request waits no longer than that for it; what then happens, each user of it says."""
RETRY_AFTER_S: Final = 1.0
"""For how long it is left alone after it has not answered."""


class UnavailableError(RedisError):
    """Redis did not answer a moment ago, and is not called again yet."""


class SharedState:
    """Redis behind one circuit breaker: when one call fails, none waits for it for a second.

    After it one request probes Redis; the others go on without it until that request succeeds.

    Args:
        redis: Connects when first used.
    """

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self._away_until: float | None = None

    async def ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Call Redis.

        Raises:
            RedisError: It does not answer, or has not a moment ago.
        """
        if self._away_until is not None:
            if time.monotonic() < self._away_until:
                raise UnavailableError("it has not answered a moment ago")
            self._away_until = time.monotonic() + RETRY_AFTER_S  # the others wait for what this request finds
        try:
            answer = await ask()
        except (RedisError, OSError) as error:
            self._away_until = time.monotonic() + RETRY_AFTER_S
            log.warning("the shared state does not answer; this process goes on by itself", error=str(error))
            raise error if isinstance(error, RedisError) else UnavailableError(str(error)) from error
        self._away_until = None
        return answer


def connect_shared_state(settings: ApiSettings) -> SharedState | None:
    """Make a client that connects when first used; None where each process keeps its own state."""
    if settings.shared_state == "memory":
        return None
    return SharedState(
        Redis.from_url(settings.shared_state, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
    )


def name_of_customer(tenant_id: str, customer_id: str) -> str:
    """Name a customer in keys: ``a`` with ``b:c`` is not ``a:b`` with ``c``. Braces keep its keys on one node."""
    return f"{{{quote(tenant_id, safe='')}:{customer_id}}}"
