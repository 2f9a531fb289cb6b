"""Reservation store of one process, and the protocol of reservation stores."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from rapport.domain.customers.customer import CustomerKey

if TYPE_CHECKING:
    from rapport.domain.decisions.reservations import Reservation


class LockLostError(Exception):
    """The lock of the customer expired and another process may have it: decide again."""


class ReservationSession(Protocol):
    """A customer whom one decision has locked.

    Attributes:
        reservations: Those of the customer when the lock was taken.
    """

    reservations: Collection[Reservation]

    async def exchange(self, new: Reservation | None, finished: Collection[str]) -> None:
        """Add a reservation, and remove finished ones: the last that happens in the context, others may decide then.

        Raises:
            LockLostError: Nothing was changed.
        """


class ReservationStore(Protocol):
    """Stores reservations."""

    def customer(self, key: CustomerKey) -> AbstractAsyncContextManager[ReservationSession]:
        """Lock a customer against other decisions inside the context.

        Raises:
            TimeoutError: Others keep the customer for too long.
        """

    async def peek(self, key: CustomerKey) -> Collection[Reservation]:
        """Return the reservations of a customer."""

    async def replace(self, key: CustomerKey, reservation: Reservation) -> None:
        """Replace a reservation: Kafka has told its position."""

    async def release(self, key: CustomerKey, recommendation_id: str) -> None:
        """Remove a reservation whose decision failed."""

    def customers(self) -> Collection[tuple[str, str]]:
        """Return customers for whom this process holds reservations: (tenant, customer)."""

    def forget_own(self, customers: Collection[tuple[str, str]]) -> None:
        """Remove the reservations that this process holds for some customers."""

    def sweep(self, now_ms: int, fresh_ms: int | None) -> None:
        """Remove lapsed reservations of customers who do not come back."""


class MemoryReservationStore:
    """Reservations of one process."""

    def __init__(self) -> None:
        self._by_customer: dict[CustomerKey, dict[str, Reservation]] = {}
        self._queue: deque[tuple[CustomerKey, str]] = deque()
        self._locks: dict[CustomerKey, tuple[asyncio.Lock, list[None]]] = {}

    @asynccontextmanager
    async def customer(self, key: CustomerKey) -> AsyncIterator[ReservationSession]:
        """See :meth:`ReservationStore.customer`."""
        async with self.lock(key):
            yield _MemorySession(self, key)

    @asynccontextmanager
    async def lock(self, key: CustomerKey) -> AsyncIterator[None]:
        """Have a customer for oneself in this process."""
        lock, waiting = self._locks.setdefault(key, (asyncio.Lock(), []))
        waiting.append(None)
        try:
            async with lock:
                yield
        finally:
            waiting.pop()
            if not waiting:
                del self._locks[key]

    def list_reservations(self, key: CustomerKey) -> Mapping[str, Reservation]:
        """Return the reservations of a customer, by recommendation."""
        return self._by_customer.get(key, {})

    def exchange(self, key: CustomerKey, new: Reservation | None, finished: Collection[str]) -> None:
        """See :meth:`ReservationSession.exchange`."""
        reservations = self._by_customer.setdefault(key, {})
        for recommendation_id in finished:
            reservations.pop(recommendation_id, None)
        if new is not None:
            reservations[new.recommendation_id] = new
            self._queue.append((key, new.recommendation_id))
        if not reservations:
            del self._by_customer[key]

    async def peek(self, key: CustomerKey) -> Collection[Reservation]:
        """See :meth:`ReservationStore.peek`."""
        return tuple(self.list_reservations(key).values())

    async def replace(self, key: CustomerKey, reservation: Reservation) -> None:
        """See :meth:`ReservationStore.replace`."""
        if reservation.recommendation_id in self._by_customer.get(key, {}):
            self._by_customer[key][reservation.recommendation_id] = reservation

    async def release(self, key: CustomerKey, recommendation_id: str) -> None:
        """See :meth:`ReservationStore.release`."""
        self.exchange(key, None, (recommendation_id,))

    def customers(self) -> Collection[tuple[str, str]]:
        """See :meth:`ReservationStore.customers`."""
        return set(self._by_customer) | {key for key, _ in self._queue}

    def forget_own(self, customers: Collection[tuple[str, str]]) -> None:
        """See :meth:`ReservationStore.forget_own`."""
        for customer in customers:
            self._by_customer.pop(CustomerKey(*customer), None)
        self._queue = deque(one for one in self._queue if one[0] not in customers)

    def sweep(self, now_ms: int, fresh_ms: int | None) -> None:
        """See :meth:`ReservationStore.sweep`; the oldest come first, so it looks at one more than it forgets."""
        while self._queue:
            key, recommendation_id = self._queue[0]
            reservation = self._by_customer.get(key, {}).get(recommendation_id)
            if reservation is not None and not reservation.has_lapsed(now_ms, fresh_ms):
                return
            self._queue.popleft()
            if reservation is not None:
                self.exchange(key, None, (recommendation_id,))


class _MemorySession:
    """A customer in one process's memory."""

    def __init__(self, store: MemoryReservationStore, key: CustomerKey) -> None:
        self._store = store
        self._key = key
        self.reservations: Collection[Reservation] = tuple(store.list_reservations(key).values())

    async def exchange(self, new: Reservation | None, finished: Collection[str]) -> None:
        self._store.exchange(self._key, new, finished)
