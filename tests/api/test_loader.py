"""Reads that arrive together share queries, get what they would have got alone, and fail alone."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import pytest

from api.reading.loader import CONCURRENT, Loader
from rapport.domain.api_keys import Role
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


def test_a_query_that_fails_fails_its_own_reads_only():
    async def check() -> None:
        source = Source()
        source.may_answer.set()
        loader = Loader(source.fetch, max_batch=2)
        answers = await asyncio.gather(*map(loader.load, (1, 2, -1, 3, 4)), return_exceptions=True)
        assert [type(answer) if isinstance(answer, Exception) else answer for answer in answers] == [
            *(2, 4),
            *(LookupError, LookupError),
            8,
        ]
        assert await loader.load(7) == 14

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
    """How many queries a loader has made, and for how many reads."""
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
