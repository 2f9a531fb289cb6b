"""Recommends: decides, reserves what it shows, and tells Kafka before it tells the caller."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from api.http.errors import unavailable
from api.recommend.answers import answer
from api.recommend.decider import Made
from api.recommend.requests import name_customer, understand
from api.recommend.reservation_store import CustomerKey, LockLostError
from api.recommend.schemas import Recommendation, Timing
from rapport.application.decisions.decide import DecisionTask, needs_reservations
from rapport.application.decisions.recommendation_id import make_recommendation_id
from rapport.domain.decisions.message import FIRST_ITEM, encode_decision, find_implicit_channels
from rapport.domain.decisions.reservations import Reservation, make_reservation
from rapport.domain.events import make_message_key
from rapport.kafka.sources import Source, make_event_id
from rapport.storage.decisions import DecisionItem

if TYPE_CHECKING:
    from api.recommend.requests import Asked
    from api.recommend.schemas import RecommendBody
    from api.runtime.event_producer import Written
    from api.services import Services

ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, for anonymous customers.

    Attributes:
        address: The visitor's; empty if it is not known.
    """

    address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Recommended:
    """An answer, and where in the log its decision is."""

    body: Recommendation
    position: str


@dataclass(frozen=True, slots=True)
class _Reserved:
    """A decision whose exposures are reserved, if anything counts them."""

    made: Made
    implicit: frozenset[str]
    hold: Reservation | None
    key: CustomerKey


async def recommend(services: Services, tenant_id: str, body: RecommendBody, caller: Caller) -> Recommended:
    """Recommend offers to a customer.

    Raises:
        ApiError: 400 for a request with faults, 404 for an unknown flow, 429 if the tenant's quota is used up, 503 if
            Kafka does not take the decision: nothing is shown and nothing is reserved then.
        StorageError: ClickHouse does not answer.
    """
    started = time.perf_counter()
    tenant = await services.tenants.get(tenant_id)
    catalogue = await services.catalogues.of(tenant_id)
    customer_id, warnings = name_customer(tenant_id, body, caller.address, caller.user_agent)
    asked = understand(body, customer_id, catalogue)
    partition, source = _log_of(services, tenant_id, asked)
    recommendation_id = make_recommendation_id(services.clock())
    await services.quota.take(tenant, recommendation_id)
    question = DecisionTask(
        tenant=tenant, catalogue=catalogue, flow=asked.flow, request=asked.request, problems=asked.problems
    )
    try:
        reserved = await _decide_and_reserve(services, question, recommendation_id)
        decided = time.perf_counter()
        written = await _write(services, tenant_id, asked, reserved, partition)
    except BaseException:
        services.quota.give_back(tenant, recommendation_id)
        raise
    await _settle(services, tenant_id, reserved, source, written)
    made, ended = reserved.made, time.perf_counter()
    services.decider.learn(tenant_id, made.record.decision, made.record.decided_at_ms)
    services.metrics.decision_seconds.labels("write").observe(ended - decided)
    timing = Timing(
        facts_ms=round(made.facts_ms, 3),
        decide_ms=round(made.decide_ms, 3),
        write_ms=round((ended - decided) * 1000, 3),
        total_ms=round((ended - started) * 1000, 3),
    )
    ids = [
        make_event_id(made.record.decided_at_ms, source, written.offset, FIRST_ITEM + index)
        for index in range(len(made.record.decision.items))
    ]
    found = answer(made.record, catalogue, timing, interaction_ids=ids, is_debugging=body.debug, warnings=warnings)
    return Recommended(found, f"{partition}:{written.offset}")


def _log_of(services: Services, tenant_id: str, asked: Asked) -> tuple[int, Source]:
    partition = services.gateway.partition_of(make_message_key(tenant_id, asked.request.customer_id))
    source = services.watermark.sources.get(partition)
    if source is None:
        raise unavailable("Kafka has not said yet which logs there are; try again shortly.")
    return partition, source


async def _decide_and_reserve(services: Services, question: DecisionTask, recommendation_id: str) -> _Reserved:
    """Decide and reserve while nobody else decides about the customer."""
    tenant_id = question.tenant.tenant_id
    canonical_id = (await services.identities.of(tenant_id)).canonical(question.request.customer_id)
    key = CustomerKey(tenant_id, canonical_id)
    if not needs_reservations(question.catalogue):
        made = await services.decider.decide(question, recommendation_id, services.clock())
        return _Reserved(made, _implicit(question, made), None, key)
    for _ in range(ATTEMPTS):
        try:
            async with services.reservations.customer(key) as held:
                made = await services.decider.decide(question, recommendation_id, services.clock(), held.holds)
                implicit = _implicit(question, made)
                hold = _hold(services, made, implicit)
                await held.exchange(hold, made.finished)
                return _Reserved(made, implicit, hold, key)
        except LockLostError:
            continue
        except TimeoutError:
            break
    raise unavailable("Too much is being decided about this customer at the moment; try again shortly.")


def _implicit(question: DecisionTask, made: Made) -> frozenset[str]:
    tracking = {one.id: one.impression_tracking for one in question.catalogue.channels.values()}
    return find_implicit_channels(made.record.decision.items, tracking)


def _hold(services: Services, made: Made, implicit: frozenset[str]) -> Reservation | None:
    record = made.record
    if not record.decision.items:
        return None
    lapses_at_ms = record.decided_at_ms + int(services.settings.api.reservation_s * 1000)
    return make_reservation(
        record.recommendation_id,
        record.customer_id,
        record.decision.items,
        implicit,
        record.decided_at_ms,
        lapses_at_ms,
    )


async def _write(services: Services, tenant_id: str, asked: Asked, reserved: _Reserved, partition: int) -> Written:
    record = reserved.made.record
    try:
        value = encode_decision(tenant_id, record, asked.context, reserved.implicit)
        return await services.gateway.send(partition, make_message_key(tenant_id, record.customer_id), value)
    except BaseException:
        if reserved.hold is not None:
            await services.reservations.release(reserved.key, record.recommendation_id)
        raise


async def _settle(services: Services, tenant_id: str, reserved: _Reserved, source: Source, written: Written) -> None:
    """Note what is known now that Kafka has the decision."""
    record = reserved.made.record
    services.decisions.add(
        tenant_id,
        record.recommendation_id,
        [
            DecisionItem(
                customer_id=record.customer_id,
                recommendation_id=record.recommendation_id,
                rank=item.rank,
                offer_id=item.offer_id,
                creative_id=item.creative_id,
                channel_id=item.channel_id,
                placement_id=item.placement_id,
                decided_at_ms=record.decided_at_ms,
            )
            for item in record.decision.items
        ],
    )
    if reserved.hold is not None:
        placed = msgspec.structs.replace(reserved.hold, source=source.name, offset=written.offset)
        await services.reservations.replace(reserved.key, placed)
    lag_ms = services.watermark.lag_ms
    services.reservations.sweep(record.decided_at_ms, None if lag_ms is None else record.decided_at_ms - lag_ms)
