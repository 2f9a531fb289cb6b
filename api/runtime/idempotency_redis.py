"""Claims of idempotency keys and their results, in Redis.

A value begins with the customer's latest erasure, empty for none: what was written before it does not count any more.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

from redis.exceptions import RedisError

from rapport.state.written_events import KEPT_S, make_written_keys

if TYPE_CHECKING:
    from types import TracebackType

    from rapport.state.shared_state import SharedState
    from rapport.storage.recorded_events import EventKey

LOOK_EVERY_S: Final = 0.02
_PENDING: Final = b"pending:"
# KEYS: erasure of the customer, result. ARGV: token, milliseconds a claim lasts. What the value begins with; and what
# holds the key, empty if that is the caller's claim now.
_CLAIM: Final = """
local begin = (redis.call('GET', KEYS[1]) or '') .. '|'
local held = redis.call('GET', KEYS[2])
if held and string.sub(held, 1, #begin) == begin then return {begin, string.sub(held, #begin + 1)} end
redis.call('SET', KEYS[2], begin .. ARGV[1], 'PX', ARGV[2])
return {begin, ''}
"""
_RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class Claim:
    """Claim of one event; released on leaving unless it was fulfilled.

    Args:
        shared: Where processes meet.
        name: Key of the result.
        begin: What its value begins with.
        token: Tells the claim from others.
    """

    def __init__(self, shared: SharedState, name: str, begin: bytes, token: bytes) -> None:
        self._shared = shared
        self._name = name
        self._begin = begin
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
                await self._shared.ask(lambda: redis.set(self._name, self._begin + result, ex=KEPT_S))
            else:
                await self._shared.ask(lambda: redis.eval(_RELEASE, 1, self._name, self._begin + self._token))


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
        names = make_written_keys(*key)
        token = _PENDING + secrets.token_hex(8).encode()
        values: list[Any] = [token, int(self._patience_s * 1000)]
        deadline = time.monotonic() + self._patience_s
        while True:
            begin, held = await self._shared.ask(lambda: self._shared.redis.eval(_CLAIM, 2, *names, *values))
            if not held or (held.startswith(_PENDING) and time.monotonic() > deadline):
                return Claim(self._shared, names[1], begin, token)
            if not held.startswith(_PENDING):
                return bytes(held)
            await asyncio.sleep(LOOK_EVERY_S)
