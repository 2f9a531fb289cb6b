"""At no time do two processes rely on the lease, whatever comes between two steps of one of them."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from jobs.lease import RELIED_ON, Lease, LeaseLostError
from rapport.jobs import JobState
from rapport.storage.database import Database
from rapport.storage.jobs import claim_term, read_job_states, read_lease, renew_term, write_job_states
from tests.fixtures.deadlines import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rapport.settings import ClickHouseSettings
    from rapport.storage.client import Store

DURATION_S = 1.0


class HeldClock:
    """A monotonic clock that a test can set forward: for the process that has it, others were suspended."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


@asynccontextmanager
async def leases(place: ClickHouseSettings, count: int, duration_s: float = DURATION_S) -> AsyncIterator[list[Lease]]:
    databases = [Database(place, lambda _name: nullcontext()) for _ in range(count)]
    try:
        yield [Lease(database, duration_s, HeldClock()) for database in databases]
    finally:
        for database in databases:
            await asyncio.to_thread(database.close)


def test_of_processes_that_start_at_once_one_holds_the_lease_and_the_next_follows_its_release(
    place: ClickHouseSettings,
):
    async def check() -> None:
        async with leases(place, 6, duration_s=15.0) as made:
            waiting = {asyncio.create_task(one.acquire()): one for one in made}
            for _ in made:
                done, _ = await asyncio.wait(waiting, timeout=60, return_when=asyncio.FIRST_COMPLETED)
                (task,) = done
                holder = waiting.pop(task)
                assert [one for one in made if one.is_held] == [holder]
                holder.check()
                for _ in range(3):
                    await holder.renew()
                    await asyncio.sleep(0.1)
                assert [one for one in made if one.is_held] == [holder]
                await holder.release()
                with pytest.raises(LeaseLostError):
                    holder.check()

    asyncio.run(check())


def test_a_silent_holder_is_followed_within_the_time_and_not_before_it_has_stopped(place: ClickHouseSettings):
    async def check() -> None:
        async with leases(place, 2) as (first, second):
            await first.acquire()
            began_at = time.monotonic()
            await asyncio.wait_for(second.acquire(), 30)
            waited_s = time.monotonic() - began_at
            assert DURATION_S * RELIED_ON < waited_s < 3 * DURATION_S + 5
            assert not first.is_held
            with pytest.raises(LeaseLostError):
                await first.renew()
            assert (first.is_held, second.is_held) == (False, True)

    asyncio.run(check())


def test_a_process_that_was_suspended_begins_nothing_when_it_wakes_up(place: ClickHouseSettings):
    async def check() -> None:
        async with leases(place, 1, duration_s=30.0) as (lease,):
            await lease.acquire()
            lease.check()
            lease._clock.ahead_s = 30.0 * RELIED_ON
            with pytest.raises(LeaseLostError):
                lease.check()
            await lease.renew()  # nobody has taken it meanwhile
            lease.check()

    asyncio.run(check())


def test_a_process_suspended_between_sending_and_reading_a_renewal_does_not_rely_on_it(
    place: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch
):
    async def check() -> None:
        async with leases(place, 1, duration_s=30.0) as (lease,):
            await lease.acquire()

            def wake_up_late(store: Store, *rest: Any, **options: Any) -> None:
                renew_term(store, *rest, **options)
                lease._clock.ahead_s += 30.0

            monkeypatch.setattr("jobs.lease.renew_term", wake_up_late)
            with pytest.raises(LeaseLostError):
                await lease.renew()

    asyncio.run(check())


def test_the_winner_of_a_term_waits_for_a_late_renewal_of_the_holder_before_it(
    place: ClickHouseSettings, store: Store, monkeypatch: pytest.MonkeyPatch
):
    """The holder renews after the other has seen it silent, and before the other's attempt is stored."""

    def attempt_late(store: Store, term: int, *rest: Any) -> None:
        if term == 2:
            renew_term(store, 1, round(DURATION_S * 1000))
        claim_term(store, term, *rest)

    async def check() -> None:
        async with leases(place, 2) as (first, second):
            await first.acquire()
            monkeypatch.setattr("jobs.lease.claim_term", attempt_late)
            taking = asyncio.create_task(second.acquire())

            async def is_won() -> bool:
                state = read_lease(store)
                return state is not None and state.term == 2

            await until(is_won, "the term is won", seconds=30)
            seen_at, found = time.monotonic(), read_lease(store)
            assert found is not None
            assert found.earlier_expires_in_ms > 0
            await asyncio.wait_for(taking, 30)
            assert time.monotonic() - seen_at >= found.earlier_expires_in_ms / 1000 - 0.05

    asyncio.run(check())


def test_a_renewal_after_the_next_term_has_begun_is_not_relied_on(place: ClickHouseSettings, store: Store):
    async def check() -> None:
        async with leases(place, 1, duration_s=30.0) as (lease,):
            await lease.acquire()
            claim_term(store, lease.term + 1, "another", 30_000)
            with pytest.raises(LeaseLostError):
                await lease.renew()
            with pytest.raises(LeaseLostError):
                lease.check()
            found = read_lease(store)
            assert found is not None
            assert (found.term, found.holder, found.is_held) == (2, "another", True)
            assert found.earlier_expires_in_ms > 20_000

    asyncio.run(check())


def test_of_two_attempts_at_a_term_the_first_counts_and_a_winner_that_dies_at_once_is_followed(
    place: ClickHouseSettings, store: Store
):
    claim_term(store, 1, "first", 700)
    claim_term(store, 1, "second", 700)
    found = read_lease(store)
    assert found is not None
    assert (found.holder, found.is_held, found.earlier_expires_in_ms) == ("first", True, 0)

    async def check() -> None:
        async with leases(place, 1) as (lease,):
            await asyncio.wait_for(lease.acquire(), 30)
            assert lease.term == 2

    asyncio.run(check())


def test_an_attempt_whose_answer_was_lost_is_found_again(place: ClickHouseSettings, store: Store):
    async def check() -> None:
        async with leases(place, 1, duration_s=30.0) as (lease,):
            claim_term(store, 1, lease.holder, 30_000)
            await asyncio.wait_for(lease.acquire(), 10)
            assert lease.term == 1

    asyncio.run(check())


def test_a_late_write_of_an_earlier_holder_changes_no_state(store: Store):
    late = JobState(name="sweep", every_s=0.0, started_at=1.0, due_at=2.0)
    new = JobState(name="sweep", every_s=0.0, started_at=5.0, duration_s=0.25, succeeded_at=6.5, due_at=86_406.5)
    failed = JobState(name="retention", every_s=0.0, started_at=5.0, failed_at=7.0, error="KeyError", failures=3)
    write_job_states(store, [new, failed], 2, 1)
    write_job_states(store, [late], 1, 99)
    assert read_job_states(store) == {"sweep": new, "retention": failed}
