"""Commands that go together: each gets its own answer, whatever happens to the others and to the server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from rapport.settings import Secret
from rapport.state.change_announcer import make_change_announcer
from rapport.state.shared_state import connect_shared_state

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.asyncio import Redis

    from tests.fixtures.redis_server import RedisServer

NAMES = [f"name-{number}" for number in range(1_000)]


def run(server: RedisServer, work: Callable[[Redis], Awaitable[None]]) -> None:
    """Work with a client of its own."""

    async def use() -> None:
        shared = connect_shared_state(Secret(server.url))
        assert shared is not None
        try:
            await work(shared.redis)
        finally:
            await shared.close()

    asyncio.run(use())


async def read_all(client: Redis) -> list[str]:
    return [found.decode() for found in await asyncio.gather(*(client.get(name) for name in NAMES))]


def test_each_of_a_thousand_commands_at_once_gets_its_own_answer(redis_server: RedisServer):
    async def work(client: Redis) -> None:
        await asyncio.gather(*(client.set(name, name) for name in NAMES))
        wrong = client.lpush(NAMES[0], "not a list")
        answers = await asyncio.gather(wrong, *(client.get(name) for name in NAMES), return_exceptions=True)
        assert isinstance(answers[0], ResponseError)
        assert answers[1:] == [name.encode() for name in NAMES]

    run(redis_server, work)


def test_who_gives_up_leaves_no_answer_to_others(redis_server: RedisServer):
    async def work(client: Redis) -> None:
        await asyncio.gather(*(client.set(name, name) for name in NAMES))
        for round_ in range(20):
            reading = [asyncio.create_task(client.get(name)) for name in NAMES[:50]]
            await asyncio.sleep(0.0002 * round_)
            for task in reading[::2]:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
            assert await read_all(client) == NAMES

    run(redis_server, work)


def test_answers_that_come_too_late_are_nobodys(redis_server: RedisServer):
    async def work(client: Redis) -> None:
        await asyncio.gather(*(client.set(name, name) for name in NAMES))
        redis_server.hang()
        try:
            answers = await asyncio.gather(*(client.get(name) for name in NAMES), return_exceptions=True)
        finally:
            redis_server.go_on()
        assert {type(answer) for answer in answers} == {RedisTimeoutError}
        assert await read_all(client) == NAMES

    run(redis_server, work)


def test_who_finds_a_replica_connects_anew(redis_server: RedisServer):
    """A name that leads to another primary after a fail-over is looked up when a connection is made."""

    async def work(client: Redis) -> None:
        before = await client.client_id()
        await client.replicaof("127.0.0.1", "1")
        with pytest.raises(ReadOnlyError):
            await client.set("name", "value")
        assert await client.client_id() != before
        assert not await asyncio.to_thread(announcer.forget_states, "acme", ["ann"])
        await client.replicaof("NO", "ONE")

    announcer = make_change_announcer(Secret(redis_server.url))
    assert announcer is not None
    run(redis_server, work)
    announcer.close()


def test_what_is_under_way_is_answered_before_the_client_is_closed_and_nothing_opens_it_again(
    redis_server: RedisServer,
):
    async def work(client: Redis) -> None:
        setting = [asyncio.create_task(client.set(name, name)) for name in NAMES]
        await asyncio.sleep(0)
        await client.aclose()
        assert await asyncio.gather(*setting) == [True] * len(NAMES)
        with pytest.raises(RedisError, match="closed"):
            await client.get("name")

    run(redis_server, work)


def test_a_server_that_is_gone_is_an_error_for_each(redis_server: RedisServer):
    async def work(client: Redis) -> None:
        await client.set("name", "value")
        redis_server.kill()
        answers = await asyncio.gather(*(client.get("name") for _ in range(100)), return_exceptions=True)
        assert all(isinstance(answer, RedisError) for answer in answers)
        redis_server.start()
        assert await client.get("name") is None

    run(redis_server, work)
