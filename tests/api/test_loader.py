"""Reads that arrive together share queries, get what they would have got alone, and fail alone."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import pytest

from api.runtime.loader import CONCURRENT, Loader
from rapport.domain.api_keys import Role
from rapport.storage.errors import TransientStorageError
from tests.fixtures.api import running_api

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.testing import TestClient

    from tests.faults.world import World
    from tests.fixtures.api import Caller, CallerFactory

CLIENTS: Final = 40


class Source:
    """Doubles numbers, as many at once as it is asked for, once it may."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_answer = asyncio.Event()

    async def fetch(self, keys: Sequence[int]) -> list[int]:
        self.batches.append(list(keys))
        await self.may_answer.wait()
        if -1 in keys:
            raise LookupError
        return [key * 2 for key in keys]


async def _turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_what_arrives_while_queries_run_is_answered_by_the_next_one():
    async def check() -> None:
        source = Source()
        loader = Loader(source.fetch, max_batch=64)
        tasks = []
        for number in range(CONCURRENT + 20):
            tasks.append(asyncio.create_task(loader.load(number)))
            await _turn()
        assert source.batches == [[number] for number in range(CONCURRENT)]
        source.may_answer.set()
        assert await asyncio.gather(*tasks) == [number * 2 for number in range(CONCURRENT + 20)]
        assert source.batches[CONCURRENT:] == [list(range(CONCURRENT, CONCURRENT + 20))]

    asyncio.run(check())


def test_a_query_answers_no_more_than_its_share():
    async def check() -> None:
        source = Source()
        source.may_answer.set()
        loader = Loader(source.fetch, max_batch=8)
        assert await asyncio.gather(*map(loader.load, range(30))) == [number * 2 for number in range(30)]
        assert [len(batch) for batch in source.batches] == [8, 8, 8, 6]

    asyncio.run(check())


def test_switched_off_each_read_has_a_query_of_its_own_at_once():
    async def check() -> None:
        source = Source()
        loader = Loader(source.fetch, max_batch=1)
        tasks = [asyncio.create_task(loader.load(number)) for number in range(10)]
        await _turn()
        assert source.batches == [[number] for number in range(10)]
        source.may_answer.set()
        assert await asyncio.gather(*tasks) == [number * 2 for number in range(10)]

    asyncio.run(check())


def test_a_read_that_makes_a_query_fail_fails_alone():
    async def check() -> None:
        source = Source()
        source.may_answer.set()
        loader = Loader(source.fetch, max_batch=64)
        answers = await asyncio.gather(*map(loader.load, (*range(16), -1, *range(16, 32))), return_exceptions=True)
        assert isinstance(answers.pop(16), LookupError)
        assert answers == [number * 2 for number in range(32)]
        assert len(source.batches) <= 2 * 7  # halves of 33
        assert await loader.load(7) == 14

    asyncio.run(check())


def test_reads_of_other_tenants_have_their_answers_after_the_second_query():
    async def check() -> None:
        source = Source()
        source.may_answer.set()
        loader = Loader(source.fetch, max_batch=64, tenant_of=lambda key: abs(key) // 100)
        keys = [*range(20), -1, *range(100, 110), *range(200, 210)]
        answers = await asyncio.gather(*map(loader.load, keys), return_exceptions=True)
        assert [key for key, answer in zip(keys, answers, strict=True) if isinstance(answer, Exception)] == [-1]
        assert source.batches[1:4] == [[*range(20), -1], [*range(100, 110)], [*range(200, 210)]]

    asyncio.run(check())


def test_while_the_database_is_away_nobody_asks_it_again_and_again():
    async def check() -> None:
        asked: list[int] = []

        async def away(keys: Sequence[int]) -> list[int]:
            asked.append(len(keys))
            raise TransientStorageError("away")

        loader = Loader(away, max_batch=64)
        answers = await asyncio.gather(*map(loader.load, range(32)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {TransientStorageError}
        assert asked == [32]

    asyncio.run(check())


def test_a_tenant_that_asks_for_a_lot_has_no_more_than_its_share_of_a_query():
    async def check() -> None:
        source = Source()
        source.may_answer.set()
        loader = Loader(source.fetch, max_batch=8, tenant_of=lambda key: key >= 1_000)
        await asyncio.gather(*map(loader.load, (*range(100), 1_000, 1_001, 1_002, 1_003)))
        assert source.batches[0] == [0, 1_000, 1, 1_001, 2, 1_002, 3, 1_003]

    asyncio.run(check())


def test_who_gives_up_waiting_takes_nobody_along():
    async def check() -> None:
        source = Source()
        loader = Loader(source.fetch, max_batch=64)
        tasks = [asyncio.create_task(loader.load(number)) for number in range(4)]
        await _turn()
        tasks[1].cancel()
        source.may_answer.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [answer for answer in answers if not isinstance(answer, BaseException)] == [0, 4, 6]
        assert isinstance(answers[1], asyncio.CancelledError)

    asyncio.run(check())


def _shared(client: TestClient[Any], loader: str) -> tuple[float, float]:
    """Return the number of queries of a loader, and of the reads they answered."""
    lines = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if not line.startswith("#"))
    name = f'rapport_api_loader_requests_%s{{loader="{loader}"}}'
    return float(lines.get(name % "count", 0)), float(lines.get(name % "sum", 0))


def _read_all(callers: Sequence[Caller], path: str) -> list[Any]:
    def read(number: int) -> Any:
        caller = callers[number % len(callers)]
        return caller.get(path.format(number % 5), role=Role.VIEWER).json()

    with ThreadPoolExecutor(CLIENTS) as threads:
        return list(threads.map(read, range(CLIENTS)))


@pytest.mark.parametrize(
    ("loader", "path"),
    [
        ("summaries", "/interaction-summaries?customerId=c{0}&limit=1{0}"),
        ("history", "/interaction-history?customerId=c{0}&limit=1{0}"),
    ],
)
def test_reads_of_several_tenants_share_queries_and_get_what_each_gets_alone(
    api_world: World, new_caller: CallerFactory, loader: str, path: str
):
    callers = [new_caller(), new_caller()]
    for number, caller in enumerate(callers):
        caller.record(
            *(
                {
                    "customerId": f"c{n % 5}",
                    "outcome": "click",
                    "offerId": f"o{number}-{n}",
                    "timestamp": 1_773_585 * 10**6 + n,
                }
                for n in range(30)
            )
        )
        caller.read("/interaction-history")
    before = _shared(callers[0].client, loader)
    together = _read_all(callers, path)
    after = _shared(callers[0].client, loader)
    assert after[1] - before[1] == CLIENTS
    assert after[0] - before[0] < CLIENTS
    with running_api(api_world, RAPPORT_API_LOADER="false") as client:
        alone = _read_all([caller.at(client) for caller in callers], path)
        assert _shared(client, loader) == (CLIENTS, CLIENTS)
    assert together == alone
    assert all(answer["data"] for answer in together)
