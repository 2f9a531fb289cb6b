"""Laws of the cache behind tenants, keys, catalogues, merges and totals, with a clock and loads that tests control."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.runtime.refreshing_cache import RefreshingCache
from api.runtime.single_flight import SingleFlight
from rapport.storage.errors import TerminalStorageError, TransientStorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

FRESH_S: Final = 2.0
STALE_S: Final = 5.0


@dataclass(slots=True)
class Source:
    """Database whose values are numbered by their loads; a load ends when it may."""

    now: float = 1_000.0
    loads: list[str] = field(default_factory=list)
    before: list[int | None] = field(default_factory=list)
    error: Exception | None = None
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def load(self, key: str, before: int | None) -> int:
        self.loads.append(key)
        self.before.append(before)
        number = len(self.loads)
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return number

    def clock(self) -> float:
        return self.now

    def make_cache(self, **options: Any) -> RefreshingCache[str, int]:
        plain: dict[str, Any] = {"fresh_s": FRESH_S, "stale_s": STALE_S, "max_entries": 100}
        return RefreshingCache("numbers", self.load, clock=self.clock, **{**plain, **options})


async def _turn() -> None:
    """Let every task go on as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def _make_known(source: Source, cache: RefreshingCache[str, int]) -> None:
    source.may_answer.set()
    assert await cache.get("a") == 1


def test_requests_at_the_same_time_share_one_load_of_each_key():
    async def check() -> None:
        source = Source()
        cache = source.make_cache()
        waiting = [asyncio.create_task(cache.get(key)) for key in "aabab"]
        await _turn()
        assert source.loads == ["a", "b"]
        source.may_answer.set()
        assert await asyncio.gather(*waiting) == [1, 1, 2, 1, 2]

    asyncio.run(check())


def test_a_fresh_value_is_not_loaded_again_and_a_stale_one_is_returned_while_one_load_runs():
    async def check() -> None:
        source = Source()
        cache = source.make_cache()
        await _make_known(source, cache)
        source.now += FRESH_S - 0.1
        assert await cache.get("a") == 1
        assert source.loads == ["a"]
        source.may_answer.clear()
        source.now += 0.1
        assert await asyncio.gather(*(cache.get("a") for _ in range(20))) == [1] * 20
        await _turn()
        assert source.loads == ["a", "a"]
        source.may_answer.set()
        await _turn()
        assert await cache.get("a") == 2
        assert source.before == [None, 1]

    asyncio.run(check())


def test_a_value_that_is_too_old_is_waited_for():
    async def check() -> None:
        source = Source()
        cache = source.make_cache()
        await _make_known(source, cache)
        source.may_answer.clear()
        source.now += STALE_S
        waiting = asyncio.create_task(cache.get("a"))
        await _turn()
        assert not waiting.done()
        source.may_answer.set()
        assert await waiting == 2

    asyncio.run(check())


def test_age_counts_from_the_beginning_of_a_load():
    async def check() -> None:
        source = Source()
        cache = source.make_cache(stale_s=0.0)
        first = asyncio.create_task(cache.get("a"))
        await _turn()
        source.now += FRESH_S  # a change during the load may not be in it
        source.may_answer.set()
        assert await first == 1
        assert await cache.get("a") == 2

    asyncio.run(check())


def test_how_long_a_value_is_fresh_can_depend_on_it():
    async def check() -> None:
        source = Source()
        cache = source.make_cache(fresh_s=lambda value: 10.0 if value == 1 else 1.0, stale_s=0.0)
        await _make_known(source, cache)
        source.now += 9.9
        assert await cache.get("a") == 1
        source.now += 0.1
        assert await cache.get("a") == 2
        source.now += 1.0
        assert await cache.get("a") == 3

    asyncio.run(check())


def test_a_cancelled_request_cancels_the_load_for_no_other():
    async def check() -> None:
        source = Source()
        cache = source.make_cache()
        cancelled, other = (asyncio.create_task(cache.get("a")) for _ in range(2))
        await _turn()
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        source.may_answer.set()
        assert await other == 1
        assert source.loads == ["a"]

    asyncio.run(check())


def test_a_load_goes_on_when_all_its_requests_are_cancelled():
    async def check() -> None:
        source = Source()
        cache = source.make_cache()
        request = asyncio.create_task(cache.get("a"))
        await _turn()
        request.cancel()
        await _turn()
        source.may_answer.set()
        await _turn()
        assert cache.peek("a") == 1
        assert source.loads == ["a"]

    asyncio.run(check())


def test_while_the_database_is_away_the_last_known_value_holds_and_is_asked_for_again_when_it_is_no_longer_fresh():
    async def check() -> None:
        source = Source()
        cache = source.make_cache()
        await _make_known(source, cache)
        source.error = TransientStorageError("away")
        for outage in range(3):
            source.now += STALE_S
            assert await cache.get("a") == 1
            assert await cache.get("a") == 1
            assert len(source.loads) == 2 + outage
        assert await cache.refresh("a") == 1
        with pytest.raises(TransientStorageError):
            await cache.get("b")
        source.error, source.now = None, source.now + STALE_S
        assert await cache.get("a") == len(source.loads)

    asyncio.run(check())


def test_a_cache_that_must_not_keep_the_last_known_value_raises():
    async def check() -> None:
        source = Source()
        cache = source.make_cache(stale_s=0.0, keeps_last_known=False)
        await _make_known(source, cache)
        source.error = TransientStorageError("away")
        source.now += FRESH_S
        with pytest.raises(TransientStorageError):
            await cache.get("a")
        source.error = None
        assert await cache.get("a") == 3

    asyncio.run(check())


def test_another_error_goes_to_all_who_wait_and_the_next_request_loads_again():
    async def check() -> None:
        source = Source()
        cache = source.make_cache()
        await _make_known(source, cache)
        source.error = TerminalStorageError("refused")
        source.now += STALE_S
        found = await asyncio.gather(*(cache.get("a") for _ in range(3)), return_exceptions=True)
        assert [type(error) for error in found] == [TerminalStorageError] * 3
        assert source.loads == ["a", "a"]
        source.error = None
        assert await cache.get("a") == 3

    asyncio.run(check())


def test_an_error_of_a_load_that_nobody_waits_for_is_neither_lost_to_the_next_nor_reported_as_unseen():
    async def check() -> None:
        unseen: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unseen.append(context))
        source = Source()
        cache = source.make_cache()
        await _make_known(source, cache)
        source.error = TerminalStorageError("refused")
        source.now += FRESH_S
        assert await cache.get("a") == 1
        await _turn()
        source.now += STALE_S
        with pytest.raises(TerminalStorageError):
            await cache.get("a")
        assert unseen == []

    asyncio.run(check())


def test_a_refresh_sees_every_change_before_it():
    async def check() -> None:
        source = Source()
        cache = source.make_cache()
        early = asyncio.create_task(cache.get("a"))
        await _turn()
        late = [asyncio.create_task(cache.refresh("a")) for _ in range(5)]
        await _turn()
        assert source.loads == ["a"]
        source.may_answer.set()
        assert await early == 1
        assert await asyncio.gather(*late) == [2] * 5
        assert await cache.get("a") == 2

    asyncio.run(check())


def test_a_refresh_does_not_fail_by_an_error_of_the_load_before_it():
    async def check() -> None:
        source = Source(error=TransientStorageError("away"))
        cache = source.make_cache()
        early = asyncio.create_task(cache.get("a"))
        await _turn()
        late = asyncio.create_task(cache.refresh("a"))
        await _turn()
        source.may_answer.set()
        with pytest.raises(TransientStorageError):
            await early
        source.error = None
        assert await late == 2

    asyncio.run(check())


def test_the_least_recently_used_entry_is_dropped():
    async def check() -> None:
        source = Source()
        source.may_answer.set()
        cache = source.make_cache(max_entries=2)
        for key in "abac":
            await cache.get(key)
        assert [cache.peek(key) for key in "abc"] == [1, None, 3]
        await cache.get("b")
        assert source.loads == ["a", "b", "c", "b"]

    asyncio.run(check())


def test_a_single_flight_ends_with_its_call():
    async def check() -> None:
        calls: list[str] = []

        async def call(key: str) -> int:
            calls.append(key)
            await asyncio.sleep(0)
            return len(calls)

        flight = SingleFlight[str, int](call)
        assert await asyncio.gather(flight.join("a"), flight.join("a"), flight.join("b")) == [2, 2, 2]
        assert await flight.join("a") == 3

    asyncio.run(check())


steps = st.lists(
    st.tuples(
        st.sampled_from(["get", "refresh"]),
        st.sampled_from("abc"),
        st.floats(0, 2 * STALE_S),
        st.sampled_from(["answers", "away", "refuses"]),
    ),
    max_size=30,
)


@given(steps=steps, fresh_s=st.sampled_from([0.0, FRESH_S]), stale_s=st.sampled_from([0.0, STALE_S]))
def test_no_value_is_older_than_allowed_unless_the_database_was_away_and_none_is_of_another_key(
    steps: Sequence[tuple[str, str, float, str]], fresh_s: float, stale_s: float
):
    errors = {"away": TransientStorageError("away"), "refuses": TerminalStorageError("refused")}

    async def check() -> None:
        now = 0.0
        state = "answers"
        newest: dict[str, float] = {}
        held_at: dict[str, float] = {}

        async def load(key: str, before: tuple[str, float] | None) -> tuple[str, float]:
            assert before is None or before == (key, newest[key])
            if state in errors:
                if state == "away":
                    held_at[key] = now
                raise errors[state]
            newest[key] = now
            return key, now

        cache = RefreshingCache("laws", load, fresh_s=fresh_s, stale_s=stale_s, max_entries=2, clock=lambda: now)
        for method, key, pause_s, state in steps:
            now += pause_s
            try:
                owner, loaded_at = await getattr(cache, method)(key)
            except (TransientStorageError, TerminalStorageError):
                assert state != "answers"
            else:
                assert owner == key
                allowed_s = max(fresh_s, stale_s) if method == "get" else 0.0
                was_away = held_at.get(key, -1.0) >= loaded_at and now - held_at[key] <= allowed_s
                assert now - loaded_at <= allowed_s or was_away
            await _turn()
            assert sum(cache.peek(one) is not None for one in "abc") <= 2

    asyncio.run(check())
