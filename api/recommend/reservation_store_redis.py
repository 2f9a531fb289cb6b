"""Reservations of several processes, in Redis or Valkey.

A customer is locked with a token that expires, so a process that dies locks nobody out for long. One that merely stalls
may come back after its lock has expired; reserving therefore checks the token, in the same step: who has lost the lock
reserves nothing and decides again.

While Redis does not answer, each process knows its own reservations only, and the log says so: caps then hold
within each process. To refuse instead would let an outage of Redis end all recommendations. Reservations made meanwhile
stay in the process's memory and count there until they are shown or lapse.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import msgspec
from redis.exceptions import RedisError

from api.recommend.reservation_store import LockLostError, MemoryReservationStore, ReservationSession
from rapport.domain.customers.customer import CustomerKey
from rapport.domain.decisions.reservations import WAITS_FOR_STREAM_MS, Reservation
from rapport.state.reservations import make_lock_key, make_reservations_key
from rapport.state.shared_state import SharedState

T = TypeVar("T")
LOCK_MS: Final = 10_000
"""After so long a process that has a customer is taken for dead."""
WAIT_S: Final = 5.0

# KEYS: lock, holds. ARGV: token, milliseconds. The holds if the lock is free, and then it is the caller's.
_TAKE: Final = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return redis.call('HVALS', KEYS[2]) end
return false
"""
# KEYS: lock, holds. ARGV: token, milliseconds the holds are kept, id and text of the new hold or two empty texts, the
# ids that are finished. 0 if the lock is not the caller's any more; afterwards it is nobody's.
_EXCHANGE: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
for i = 5, #ARGV do redis.call('HDEL', KEYS[2], ARGV[i]) end
if ARGV[3] ~= '' then
    redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
    if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
end
return 1
"""
# KEYS: lock. ARGV: token.
_LEAVE: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
# KEYS: holds. ARGV: id, text. Only what is still held is replaced.
_REPLACE: Final = """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return 1
"""
_decode_reservation: Final = msgspec.json.Decoder(Reservation).decode


class RedisReservationStore:
    """Reservations that several processes share.

    Args:
        shared: Of the processes.
        reservation_ms: A reservation lapses after so long, in milliseconds.
    """

    def __init__(self, shared: SharedState, reservation_ms: int) -> None:
        self._shared = shared
        self._redis = shared.redis
        self._keep_ms = reservation_ms + WAITS_FOR_STREAM_MS
        self._own = MemoryReservationStore()

    @asynccontextmanager
    async def customer(self, key: CustomerKey) -> AsyncIterator[ReservationSession]:
        """See :meth:`ReservationStore.customer`."""
        async with self._own.lock(key):
            token = secrets.token_hex(16)
            found = await self._take(key, token)
            session = _RedisSession(self, key, token, found)
            try:
                yield session
            finally:
                if found is not None and not session.has_ended:
                    await self._ask(lambda: self._run(_LEAVE, [make_lock_key(key)], [token]))

    async def exchange(self, key: CustomerKey, token: str, new: Reservation | None, finished: Collection[str]) -> bool:
        """See :meth:`ReservationSession.exchange`; return whether the lock is released, too."""
        added = ("", "") if new is None else (new.recommendation_id, msgspec.json.encode(new))
        is_released = False
        if new is not None or finished:
            names, values = [make_lock_key(key), make_reservations_key(key)], [token, self._keep_ms, *added, *finished]
            answer = await self._ask(lambda: self._run(_EXCHANGE, names, values))
            if answer == 0:
                raise LockLostError
            is_released = answer == 1
        self._own.exchange(key, new, finished)
        return is_released

    async def peek(self, key: CustomerKey) -> Collection[Reservation]:
        """See :meth:`ReservationStore.peek`."""
        return self.list_reservations(
            key, await self._ask(lambda: self._redis.hvals(make_reservations_key(key)), missing=())
        )

    async def replace(self, key: CustomerKey, reservation: Reservation) -> None:
        """See :meth:`ReservationStore.replace`."""
        await self._own.replace(key, reservation)
        values = [reservation.recommendation_id, msgspec.json.encode(reservation)]
        await self._ask(lambda: self._run(_REPLACE, [make_reservations_key(key)], values))

    async def release(self, key: CustomerKey, recommendation_id: str) -> None:
        """See :meth:`ReservationStore.release`."""
        await self._own.release(key, recommendation_id)
        await self._ask(lambda: self._redis.hdel(make_reservations_key(key), recommendation_id))

    def customers(self) -> Collection[tuple[str, str]]:
        """See :meth:`ReservationStore.customers`."""
        return self._own.customers()

    def forget_own(self, customers: Collection[tuple[str, str]]) -> None:
        """See :meth:`ReservationStore.forget_own`."""
        self._own.forget_own(customers)

    def sweep(self, now_ms: int, fresh_ms: int | None) -> None:
        """See :meth:`ReservationStore.sweep`; in Redis they expire."""
        self._own.sweep(now_ms, fresh_ms)

    def list_reservations(self, key: CustomerKey, texts: Collection[bytes]) -> Collection[Reservation]:
        """Join the reservations of all processes with those this one made while Redis was away."""
        shared = (_decode_reservation(text) for text in texts)
        return {
            **self._own.list_reservations(key),
            **{reservation.recommendation_id: reservation for reservation in shared},
        }.values()

    async def _take(self, key: CustomerKey, token: str) -> Collection[bytes] | None:
        """Lock a customer and return the reservations, or None while Redis is away.

        Raises:
            TimeoutError: Other processes keep it.
        """
        deadline = time.monotonic() + WAIT_S
        pause_s = 0.002
        while True:
            found = await self._ask(
                lambda: self._run(_TAKE, [make_lock_key(key), make_reservations_key(key)], [token, LOCK_MS]), missing=()
            )
            if found is None:
                if time.monotonic() > deadline:
                    raise TimeoutError
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - spreads those who wait
                pause_s = min(pause_s * 1.5, 0.05)
                continue
            return None if found == () else found

    async def _run(self, script: str, names: list[str], values: list[Any]) -> Any:  # noqa: ANN401 - Redis' answer
        return await self._redis.eval(script, len(names), *names, *values)

    async def _ask(self, ask: Callable[[], Awaitable[T]], missing: Any = None) -> Any:  # noqa: ANN401 - Redis' answer
        """Call Redis; return ``missing`` while it is away."""
        try:
            return await self._shared.ask(ask)
        except RedisError:
            return missing  # this process knows its own reservations only


class _RedisSession:
    """A customer whom this process has locked, as long as its token is the lock's."""

    def __init__(
        self, store: RedisReservationStore, key: CustomerKey, token: str, texts: Collection[bytes] | None
    ) -> None:
        self._store = store
        self._key = key
        self._token = token
        self.reservations: Collection[Reservation] = store.list_reservations(key, texts or ())
        self.has_ended = False

    async def exchange(self, new: Reservation | None, finished: Collection[str]) -> None:
        self.has_ended = await self._store.exchange(self._key, self._token, new, finished)
