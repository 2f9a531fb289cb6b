"""Customer states in a real Valkey: what is stored, offered, forgotten and not believed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import redis

from api.recommend.reservation_store_redis import RedisReservationStore
from rapport.domain.customer_states import CustomerState, StateDelta, make_state
from rapport.domain.customers.customer import CustomerKey
from rapport.domain.decisions.reservations import Reservation
from rapport.domain.metrics import StoredEvent
from rapport.domain.summaries import StoredSummary
from rapport.settings import Secret
from rapport.state import customer_states
from rapport.state.change_announcer import make_change_announcer
from rapport.state.customer_states import CustomerStates, LateOfferError, make_state_key
from rapport.state.shared_state import connect_shared_state

if TYPE_CHECKING:
    from tests.fixtures.redis_server import RedisServer

ANN = CustomerKey("acme", "ann")
NAMESPACE = "n1"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is not a server that is away."""
    monkeypatch.setattr("rapport.state.shared_state.TIMEOUT_S", 10.0)


def run(server: RedisServer, work: Callable[[CustomerStates], Awaitable[None]]) -> None:
    """Run a test with a client of its own."""

    async def main() -> None:
        shared = connect_shared_state(Secret(server.url))
        assert shared is not None
        try:
            await work(CustomerStates(shared))
        finally:
            await shared.close()

    asyncio.run(main())


def state(key: CustomerKey = ANN, zone: str = "UTC") -> CustomerState:
    return make_state(key, time_zone=zone, today=date(2026, 3, 2))


def delta(offset: int, customer_id: str = "ann") -> StateDelta:
    counts = (1, 0, 0, 0, 0, Decimal(0), 5, "seen", "in")
    row = StoredSummary("acme", customer_id, "alltime", "alltime", "loan", "", "", "s", 1, offset, 0, *counts)
    about = ("impression", 5, "seen", "neutral", False, "in", "loan", "", "", None, "", 0)
    return StateDelta(customer_id, [row], [StoredEvent("acme", customer_id, f"{offset:038x}", 5, *about, "s", offset)])


async def offer(states: CustomerStates, *deltas: StateDelta, batch: str = "s:0") -> None:
    keys = [CustomerKey("acme", one.customer_id) for one in deltas]
    began_ms, _ = await states.list_present(keys)
    await states.offer(began_ms, batch, dict(zip(keys, deltas, strict=True)))


async def store(states: CustomerStates, key: CustomerKey = ANN) -> None:
    lookup = await states.find(key, NAMESPACE, "UTC")
    assert lookup.state is None
    assert await states.store(key, lookup, state(key))


def test_a_batch_that_comes_while_a_state_is_loaded_is_in_it(redis_server: RedisServer):
    async def work(states: CustomerStates) -> None:
        lookup = await states.find(ANN, NAMESPACE, "UTC")
        await offer(states, delta(7))
        other = await states.find(ANN, NAMESPACE, "UTC")  # another reader loads at the same time
        assert await states.store(ANN, other, state())
        assert not await states.store(ANN, lookup, state())
        found = (await states.find(ANN, NAMESPACE, "UTC")).state
        assert found is not None
        assert [row.applied_offset for row in found.rows] == [7]
        assert [event.offset for event in found.events] == [7]

    run(redis_server, work)


def test_a_batch_begins_no_state(redis_server: RedisServer):
    async def work(states: CustomerStates) -> None:
        began_ms, present = await states.list_present([ANN])
        assert present == []
        await states.offer(began_ms, "s:0", {ANN: delta(1)})
        assert (await states.find(ANN, NAMESPACE, "UTC")).state is None

    run(redis_server, work)


def test_a_load_that_a_change_has_overtaken_is_not_stored(redis_server: RedisServer):
    async def work(states: CustomerStates) -> None:
        lookup = await states.find(ANN, NAMESPACE, "UTC")
        await asyncio.to_thread(announcer.forget_states, "acme", ["ann"])
        assert not await states.store(ANN, lookup, state())
        newer = await states.find(ANN, NAMESPACE, "UTC")
        assert newer.mark != lookup.mark
        assert not await states.store(ANN, lookup, state())
        assert await states.store(ANN, newer, state())
        await asyncio.to_thread(announcer.forget_states, "acme", ["bob", "ann"])
        assert (await states.find(ANN, NAMESPACE, "UTC")).state is None

    announcer = make_change_announcer(Secret(redis_server.url))
    assert announcer is not None
    run(redis_server, work)
    redis_server.kill()
    assert not announcer.forget_states("acme", ["ann"])
    announcer.close()


def test_an_offer_that_comes_too_late_changes_nothing(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch):
    async def work(states: CustomerStates) -> None:
        await store(states)
        began_ms, present = await states.list_present([ANN])
        assert present == [ANN]
        await asyncio.sleep(0.05)
        with pytest.raises(LateOfferError):
            await states.offer(began_ms, "s:0", {ANN: delta(7)})
        found = await states.find(ANN, NAMESPACE, "UTC")
        assert found.state == state()

    monkeypatch.setattr(customer_states, "OFFER_MS", 10)
    run(redis_server, work)


def test_a_state_that_nobody_reads_is_forgotten_and_one_that_is_read_is_compacted(redis_server: RedisServer):
    async def work(states: CustomerStates) -> None:
        await store(states)
        for number in range(customer_states.COMPACT_FROM):
            await offer(states, delta(number), batch=f"s:{number}")
        lookup = await states.find(ANN, NAMESPACE, "UTC")
        assert lookup.is_due
        await offer(states, delta(100), batch="s:100")  # between the two steps of the reader
        assert lookup.state is not None
        assert await states.store(ANN, lookup, lookup.state)
        assert not await states.store(ANN, lookup, lookup.state)
        after = await states.find(ANN, NAMESPACE, "UTC")
        assert after.contained == (b"s:100",)
        assert after.state is not None
        assert len(after.state.events) == customer_states.COMPACT_FROM + 1
        for number in range(customer_states.MAX_DELTAS):
            await offer(states, delta(number), batch=f"t:{number}")
        assert (await states.find(ANN, NAMESPACE, "UTC")).state is None

    run(redis_server, work)


def test_a_batch_that_is_offered_again_takes_no_more_room(redis_server: RedisServer):
    async def work(states: CustomerStates) -> None:
        await store(states)
        for _ in range(3):
            await offer(states, delta(1))
        assert (await states.find(ANN, NAMESPACE, "UTC")).contained == (b"s:0",)

    run(redis_server, work)


def test_two_spellings_of_an_address_are_two_customers(redis_server: RedisServer):
    async def work(states: CustomerStates) -> None:
        upper, lower = CustomerKey("acme", "Ann@x.org"), CustomerKey("acme", "ann@x.org")
        await store(states, upper)
        await offer(states, delta(1, "Ann@x.org"), delta(2, "ann@x.org"))
        found = (await states.find(upper, NAMESPACE, "UTC")).state
        assert found is not None
        assert [row.applied_offset for row in found.rows] == [1]
        assert (await states.find(lower, NAMESPACE, "UTC")).state is None
        assert (await states.find(upper, NAMESPACE, "UTC")).state is None  # they share a place
        await states.forget([lower])

    run(redis_server, work)


@pytest.mark.parametrize(("namespace", "zone"), [("n2", "UTC"), (NAMESPACE, "Asia/Tokyo")])
def test_a_state_of_another_namespace_or_zone_is_loaded_anew(redis_server: RedisServer, namespace: str, zone: str):
    async def work(states: CustomerStates) -> None:
        await store(states)
        assert (await states.find(ANN, namespace, zone)).state is None

    run(redis_server, work)


def test_a_value_of_another_form_is_loaded_anew(redis_server: RedisServer):
    async def work(states: CustomerStates) -> None:
        await store(states)
        with redis.Redis.from_url(redis_server.url) as client:
            client.hset(make_state_key(*ANN), "v", b"\x93\x01\x02\x03")
        lookup = await states.find(ANN, NAMESPACE, "UTC")
        assert lookup.state is None
        assert await states.store(ANN, lookup, state())

    run(redis_server, work)


def test_coverage_has_no_hole(redis_server: RedisServer):
    async def work(states: CustomerStates) -> None:
        assert await states.read_coverage() is None
        assert await states.cover([("a", 0, 0), ("b", 5, 9)])
        first = await states.read_coverage()
        assert first is not None
        assert first.positions == {"a": 0, "b": 9}
        assert not await states.cover([("a", 0, 4)])
        assert not await states.cover([("b", 5, 7)])  # again, and less of it, after a crash
        second = await states.read_coverage()
        assert second is not None
        assert second.namespace == first.namespace
        assert second.positions == {"a": 4, "b": 9}
        assert second.reaches({"a": 4, "b": 9})
        assert not second.reaches({"a": 5, "b": 9})
        assert not second.reaches({"c": 0})
        assert await states.cover([("a", 6, 8)])  # offsets 4 and 5 were offered to no state
        third = await states.read_coverage()
        assert third is not None
        assert third.namespace != first.namespace
        assert third.positions == {"a": 8, "b": 9}

    run(redis_server, work)


def test_gaps_end_the_namespace_of_their_tenant_or_of_all(redis_server: RedisServer):
    async def work(states: CustomerStates) -> None:
        await states.cover([("a", 0, 0)])
        coverage = await states.read_coverage()
        assert coverage is not None
        names = [coverage.name_namespace("acme", gaps) for gaps in ({}, {"acme": 1}, {"acme": 2}, {"": 1})]
        assert len(set(names)) == len(names)
        assert coverage.name_namespace("acme", {"other": 1}) == names[0]

    run(redis_server, work)


def test_after_a_restart_from_a_snapshot_nothing_older_is_believed(redis_server: RedisServer):
    async def before(states: CustomerStates) -> None:
        await states.cover([("a", 0, 3)])
        await store(states)
        await offer(states, delta(1))

    async def after(states: CustomerStates) -> None:
        assert await states.read_coverage() is None
        assert (await states.find(ANN, NAMESPACE, "UTC")).state is None
        assert await states.cover([("a", 3, 3)])
        coverage = await states.read_coverage()
        assert coverage is not None
        assert coverage.positions == {"a": 3}

    run(redis_server, before)
    with redis.Redis.from_url(redis_server.url) as client:
        client.save()
    redis_server.kill()
    redis_server.start()
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.exists(make_state_key(*ANN))
    run(redis_server, after)


def test_a_promoted_replica_that_lags_serves_nothing_of_before(redis_server: RedisServer):
    async def before(states: CustomerStates) -> None:
        await states.cover([("a", 0, 3)])
        await store(states)

    async def after(states: CustomerStates) -> None:
        assert await states.read_coverage() is None
        assert (await states.find(ANN, NAMESPACE, "UTC")).state is None

    run(redis_server, before)
    with redis.Redis.from_url(redis_server.url) as client:
        client.replicaof("127.0.0.1", "1")  # cut off from its primary, which does not exist
        client.replicaof("NO", "ONE")
    run(redis_server, after)


def test_memory_that_is_full_costs_no_reservation_of_now(redis_server: RedisServer):
    """A state that is asked for often must not outlive the reservations by which caps hold."""

    async def work(states: CustomerStates) -> None:
        with redis.Redis.from_url(redis_server.url) as client:
            client.config_set("maxmemory", str(client.info("memory")["used_memory"] + 2_000_000))
            client.config_set("maxmemory-policy", "volatile-lru")
        regulars, others = ([CustomerKey("acme", f"{kind}-{n}") for n in range(5_000)] for kind in ("regular", "other"))
        shared = connect_shared_state(Secret(redis_server.url))
        assert shared is not None
        reservations = RedisReservationStore(shared, 900_000)

        async def decide(key: CustomerKey) -> None:
            lookup = await states.find(key, NAMESPACE, "UTC")
            if lookup.state is None:
                await states.store(key, lookup, state(key))
            async with reservations.customer(key) as held:
                await held.exchange(Reservation(f"r-{key.customer_id}", 0, 900_000, (), "", -1, key.customer_id), ())

        for number, other in enumerate(others):
            await decide(regulars[number % 100])
            await decide(other)
        for key in [*others[-200:], *regulars[:100]]:
            assert [one.recommendation_id for one in await reservations.peek(key)] == [f"r-{key.customer_id}"]
        with redis.Redis.from_url(redis_server.url) as client:
            assert client.info()["evicted_keys"] > 1_000
        await shared.close()

    run(redis_server, work)


def test_memory_that_is_full_costs_states_and_breaks_none(redis_server: RedisServer):
    async def work(states: CustomerStates) -> None:
        with redis.Redis.from_url(redis_server.url) as client:
            client.config_set("maxmemory", str(client.info("memory")["used_memory"] + 1_000_000))
            client.config_set("maxmemory-policy", "volatile-lru")
        await states.cover([("a", 0, 0)])
        keys = [CustomerKey("acme", f"customer-{number}") for number in range(4_000)]
        for key in keys:
            await states.store(key, await states.find(key, NAMESPACE, "UTC"), state(key))
        newest = keys[-100:]
        await offer(states, *(delta(1, key.customer_id) for key in newest))
        found = {key: await states.peek(key, NAMESPACE) for key in keys}
        kept = {key: one for key, one in found.items() if one is not None}
        assert 0 < len(kept) < len(keys)
        assert all([row.applied_offset for row in one.rows] == [1] for key, one in kept.items() if key in newest)
        coverage = await states.read_coverage()  # has no time to live, and so is not evicted
        assert coverage is not None

    run(redis_server, work)
