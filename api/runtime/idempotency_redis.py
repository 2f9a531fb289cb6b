"""Claims of idempotency keys and their results, in Redis."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

import msgspec
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from types import TracebackType

    from rapport.state.shared_state import SharedState
    from rapport.storage.recorded_events import EventKey

KEPT_S: Final = 3_600
LOOK_EVERY_S: Final = 0.02
_PENDING: Final = b"pending:"
_RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class Claim:
    """Claim of one event; released on leaving unless it was fulfilled."""

    def __init__(self, shared: SharedState, name: str, token: bytes) -> None:
        self._shared = shared
        self._name = name
        self._token = token
        self._result: bytes | None = None

    def fulfil(self, result: bytes) -> None:
        """Note the result, for other processes."""
        self._result = result

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        redis, result = self._shared.redis, self._result
        with suppress(RedisError):  # the claim lapses by itself
            if result is not None:
                await self._shared.ask(lambda: redis.set(self._name, result, ex=KEPT_S))
            else:
                await self._shared.ask(lambda: redis.eval(_RELEASE, 1, self._name, self._token))


class RedisClaims:
    """Claims of several processes, of which one writes an event.

    Args:
        shared: Where they meet.
        patience_s: How long a process may take; then it is taken for dead.
    """

    def __init__(self, shared: SharedState, patience_s: float) -> None:
        self._shared = shared
        self._patience_s = patience_s

    async def claim(self, key: EventKey) -> Claim | bytes:
        """Claim an event, or return its result when another process wrote it.

        Raises:
            RedisError: It does not answer.
        """
        name = "rapport:written:" + hashlib.sha256(msgspec.json.encode(list(key))).hexdigest()
        redis, lasts_ms = self._shared.redis, int(self._patience_s * 1000)
        token = _PENDING + secrets.token_hex(8).encode()
        deadline = time.monotonic() + self._patience_s
        while True:
            if await self._shared.ask(lambda: redis.set(name, token, nx=True, px=lasts_ms)):
                return Claim(self._shared, name, token)
            held = await self._shared.ask(lambda: redis.get(name))
            if isinstance(held, bytes) and not held.startswith(_PENDING):
                return held
            if time.monotonic() > deadline:
                return Claim(self._shared, name, token)
            await asyncio.sleep(LOOK_EVERY_S)
