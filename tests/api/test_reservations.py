from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from api.recommend.circuit_breakers import CircuitBreakers
from api.recommend.reservation_store import LockLostError, MemoryReservationStore
from api.recommend.reservation_store_redis import RedisReservationStore
from rapport.domain.customers.customer import CustomerKey
from rapport.domain.decisions.contact_facts import Exposure, FactsResult, SummaryRowKey
from rapport.domain.decisions.decision import Decision, Funnel
from rapport.domain.decisions.facts import ReservedImpression, Subject
from rapport.domain.decisions.reservations import WAITS_FOR_STREAM_MS, Reservation, ReservedItem, split_reservations
from rapport.domain.decisions.trace import ScoreRecord, Trace
from rapport.state.shared_state import SharedState
from rapport.state_url import parse_state_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.fixtures.redis_server import RedisServer

ANN = CustomerKey("acme", "ann")
BOB = CustomerKey("acme", "bob")
LOAN = Subject("loan", "loan-web", "web")


def hold(
    name: str = "r1", *, at_ms: int = 1_000, is_written: bool = False, source: str = "", offset: int = -1
) -> Reservation:
    return Reservation(name, at_ms, at_ms + 100, (ReservedItem(1, *LOAN, is_written),), source, offset, "ann")


@asynccontextmanager
async def shared_books(url: str) -> AsyncIterator[list[RedisReservationStore]]:
    """Two processes' books on one Redis."""
    clients = [Redis.from_url(url) for _ in range(2)]
    try:
        yield [RedisReservationStore(SharedState(client, parse_state_url(url)), 100) for client in clients]
    finally:
        for client in clients:
            await client.aclose()


def test_nobody_else_has_a_customer_meanwhile_in_another_process_either(redis_server: RedisServer):
    async def run() -> list[str]:
        told: list[str] = []

        async def reserve(book: RedisReservationStore, name: str) -> None:
            async with book.customer(ANN) as held:
                told.append(f"{name} sees {len(held.reservations)}")
                await asyncio.sleep(0)
                await held.exchange(hold(name), ())

        async with shared_books(redis_server.url) as books:
            async with books[0].customer(BOB):
                await asyncio.gather(*(reserve(books[number % 2], f"r{number}") for number in range(6)))
            assert {one.recommendation_id for one in await books[1].peek(ANN)} == {f"r{n}" for n in range(6)}
        return told

    assert sorted(line.partition(" ")[2] for line in asyncio.run(run())) == [f"sees {n}" for n in range(6)]


def test_who_has_lost_the_lock_reserves_nothing(redis_server: RedisServer):
    async def run() -> None:
        async with shared_books(redis_server.url) as (book, other), Redis.from_url(redis_server.url) as redis:
            async with book.customer(ANN) as held:
                await redis.flushall()  # it has expired
                async with other.customer(ANN) as others:
                    await others.exchange(hold("theirs"), ())
                with pytest.raises(LockLostError):
                    await held.exchange(hold("ours"), ())
            assert [one.recommendation_id for one in await book.peek(ANN)] == ["theirs"]

    asyncio.run(run())


def test_a_hold_that_was_released_is_not_brought_back_by_its_place(redis_server: RedisServer):
    async def run(book: MemoryReservationStore | RedisReservationStore) -> None:
        async with book.customer(ANN) as held:
            await held.exchange(hold(), ())
        await book.release(ANN, "r1")
        await book.replace(ANN, hold(source="s", offset=7))
        assert list(await book.peek(ANN)) == []

    async def run_both() -> None:
        await run(MemoryReservationStore())
        async with shared_books(redis_server.url) as books:
            await run(books[0])

    asyncio.run(run_both())


def test_holds_of_customers_who_do_not_come_back_are_swept_once_they_have_lapsed():
    async def run() -> None:
        book = MemoryReservationStore()
        for number in range(3):
            async with book.customer(CustomerKey("acme", f"c{number}")) as held:
                await held.exchange(hold(at_ms=1_000 * number), ())
        book.sweep(1_100, 1_100)
        assert [len(await book.peek(CustomerKey("acme", f"c{number}"))) for number in range(3)] == [0, 0, 1]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("now_ms", "fresh_ms", "has_lapsed"),
    [
        (1_099, 1_099, False),
        (1_100, 1_099, False),
        (1_100, None, False),
        (1_100, 1_100, True),
        (1_099 + WAITS_FOR_STREAM_MS, None, False),
        (1_100 + WAITS_FOR_STREAM_MS, None, True),
    ],
)
def test_a_hold_lapses_when_the_stream_has_got_as_far(now_ms: int, fresh_ms: int | None, *, has_lapsed: bool):
    assert hold().has_lapsed(now_ms, fresh_ms) is has_lapsed


@pytest.mark.parametrize(("applied", "is_open"), [(6, True), (7, False), (8, False)])
def test_an_impression_written_with_the_decision_is_shown_by_the_row_that_reaches_it(applied: int, *, is_open: bool):
    facts = FactsResult(applied={SummaryRowKey(LOAN, "s", "ann"): applied, SummaryRowKey(LOAN, "another", "ann"): 99})
    found = split_reservations([hold(is_written=True, source="s", offset=7)], facts, 1_050, 1_050)
    assert found.impressions == ([ReservedImpression(LOAN, 1_000)] if is_open else [])
    assert found.finished == (frozenset() if is_open else {"r1"})


@pytest.mark.parametrize("is_written", [True, False])
def test_without_a_known_place_an_exposure_is_looked_for_by_recommendation_and_rank(*, is_written: bool):
    one = hold(is_written=is_written)
    assert one.needs_history()
    still = split_reservations([one], FactsResult(exposed={Exposure("r1", 2)}), 1_050, None)
    assert still.impressions == [ReservedImpression(LOAN, 1_000 if is_written else 1_050)]
    assert split_reservations([one], FactsResult(exposed={Exposure("r1", 1)}), 1_050, None).finished == {"r1"}


def decision(failed: tuple[str, ...] = (), *, scored: bool = False) -> Decision:
    explained = {"propensity": {"level": "model", "model": "m"}} if scored else {}
    return Decision(
        flow_key="base",
        flow_version=1,
        items=(),
        funnel=Funnel(candidate_count=0, after_qualification=0, after_contact_policy=0, final_count=0),
        placement_results=(),
        experiments=(),
        trace=Trace(stages=(), removals=(), scores=[ScoreRecord(offer_id="loan", score=0.5, explanation=explained)]),
        failed_models=failed,
    )


def test_the_circuit_of_a_model_opens_after_five_failures_and_closes_when_it_scores():
    circuits = CircuitBreakers()
    for _ in range(5):
        assert circuits.find_open("acme", 0) == frozenset()
        circuits.note("acme", decision(("m",)), 0)
    assert (circuits.find_open("acme", 59_999), circuits.find_open("other", 0)) == ({"m"}, frozenset())
    assert circuits.find_open("acme", 60_000) == frozenset()
    circuits.note("acme", decision(), 60_000)  # it was not asked
    circuits.note("acme", decision(("m",)), 60_000)
    assert circuits.find_open("acme", 60_001) == {"m"}
    circuits.note("acme", decision(scored=True), 120_000)
    for _ in range(4):
        circuits.note("acme", decision(("m",)), 120_000)
    assert circuits.find_open("acme", 120_001) == frozenset()
