"""Decides and reserves what is shown, so that simultaneous requests keep caps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from api.http.errors import unavailable
from api.recommend.reservation_store import LockLostError
from rapport.application.decisions.decide import needs_reservations
from rapport.domain.customers.customer import CustomerKey
from rapport.domain.decisions.message import find_implicit_channels
from rapport.domain.decisions.reservations import make_reservation

if TYPE_CHECKING:
    from api.http.times import Clock
    from api.recommend.decider import Decider, DecisionResult
    from api.recommend.reservation_store import ReservationStore
    from api.runtime.event_producer import RecordMetadata
    from api.runtime.identity_cache import IdentityCache
    from api.runtime.watermark import Watermark
    from rapport.application.decisions.decide import DecisionTask
    from rapport.domain.decisions.decision import Decision
    from rapport.domain.decisions.reservations import Reservation
    from rapport.kafka.sources import Source

ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class ReservedDecision:
    """A decision whose exposures are reserved, if anything counts them.

    Attributes:
        implicit: Channels on which being recommended is an impression.
        key: The customer, by the canonical id.
    """

    made: DecisionResult
    implicit: frozenset[str]
    reservation: Reservation | None
    key: CustomerKey


class ReservingDecider:
    """Makes decisions about one customer one after the other, and reserves the exposures of each.

    Args:
        reservation_ms: A reservation lapses after so long, in milliseconds.
    """

    def __init__(
        self,
        decider: Decider,
        reservations: ReservationStore,
        identities: IdentityCache,
        watermark: Watermark,
        clock: Clock,
        *,
        reservation_ms: int,
    ) -> None:
        self._decider = decider
        self._reservations = reservations
        self._identities = identities
        self._watermark = watermark
        self._clock = clock
        self._reservation_ms = reservation_ms

    async def decide(self, task: DecisionTask, recommendation_id: str) -> ReservedDecision:
        """Decide and reserve while nobody else decides about the customer.

        Raises:
            ApiError: 503; others decide about the customer for too long.
            StorageError: ClickHouse does not answer.
        """
        tenant_id = task.tenant.tenant_id
        canonical_id = (await self._identities.of(tenant_id)).canonical(task.request.customer_id)
        key = CustomerKey(tenant_id, canonical_id)
        if not needs_reservations(task.catalogue):
            made = await self._decider.decide(task, recommendation_id, self._clock())
            return ReservedDecision(made, _find_implicit(task, made), None, key)
        for _ in range(ATTEMPTS):
            try:
                async with self._reservations.customer(key) as held:
                    made = await self._decider.decide(task, recommendation_id, self._clock(), held.reservations)
                    implicit = _find_implicit(task, made)
                    reservation = self._make_reservation(made, implicit)
                    await held.exchange(reservation, made.finished)
                    return ReservedDecision(made, implicit, reservation, key)
            except LockLostError:
                continue
            except TimeoutError:
                break
        raise unavailable("Too much is being decided about this customer at the moment; try again shortly.")

    async def cancel(self, reserved: ReservedDecision) -> None:
        """Release the reservation of a decision that Kafka did not take."""
        if reserved.reservation is not None:
            await self._reservations.release(reserved.key, reserved.made.record.recommendation_id)

    async def confirm(self, reserved: ReservedDecision, source: Source, written: RecordMetadata) -> None:
        """Note in the reservation where in the log the decision is, and drop reservations that have lapsed."""
        record = reserved.made.record
        if reserved.reservation is not None:
            placed = msgspec.structs.replace(reserved.reservation, source=source.name, offset=written.offset)
            await self._reservations.replace(reserved.key, placed)
        lag_ms = self._watermark.lag_ms
        self._reservations.sweep(record.decided_at_ms, None if lag_ms is None else record.decided_at_ms - lag_ms)

    def learn(self, tenant_id: str, decision: Decision, now_ms: int) -> None:
        """See :meth:`api.recommend.decider.Decider.learn`."""
        self._decider.learn(tenant_id, decision, now_ms)

    def _make_reservation(self, made: DecisionResult, implicit: frozenset[str]) -> Reservation | None:
        record = made.record
        if not record.decision.items:
            return None
        return make_reservation(
            record.recommendation_id,
            record.customer_id,
            record.decision.items,
            implicit,
            record.decided_at_ms,
            record.decided_at_ms + self._reservation_ms,
        )


def _find_implicit(task: DecisionTask, made: DecisionResult) -> frozenset[str]:
    tracking = {channel.id: channel.impression_tracking for channel in task.catalogue.channels.values()}
    return find_implicit_channels(made.record.decision.items, tracking)
