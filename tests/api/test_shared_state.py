"""Redis between processes: one circuit for all that use it, and keys that no two customers share."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import RedisError

from rapport.state.shared_state import RETRY_AFTER_S, TIMEOUT_S, SharedState, name_of_customer
from rapport.state_url import parse_state_url
from tests.fixtures.api import running_api

if TYPE_CHECKING:
    from tests.faults.world import World
    from tests.fixtures.api import CallerFactory
    from tests.fixtures.redis_server import RedisServer


def said(key: str) -> dict[str, Any]:
    about = {"customerId": "c", "creativeId": "cr", "channelId": "web", "outcome": "click"}
    return {**about, "idempotencyKey": key}


def test_a_redis_that_hangs_delays_one_request_a_second_and_no_other(
    api_world: World, new_caller: CallerFactory, redis_server: RedisServer
):
    with running_api(api_world, RAPPORT_STATE_URL=redis_server.url) as client:
        caller = new_caller().at(client)
        assert caller.post("/respond", said(uuid.uuid4().hex)).status_code == 201
        redis_server.hang()
        began, count = time.monotonic(), 0
        try:
            while time.monotonic() < began + 4:
                assert caller.post("/respond", said(uuid.uuid4().hex)).status_code == 201
                count += 1
        finally:
            redis_server.go_on()
        delayed = 4 / (RETRY_AFTER_S + TIMEOUT_S) + 1
        assert count > delayed + 1  # each would have waited three times: for the limit, the claim and its result


def test_one_user_that_finds_it_away_spares_all_others_until_one_has_found_it_again():
    asyncio.run(_meet_an_outage())


async def _meet_an_outage() -> None:
    shared = SharedState(Redis(port=1), parse_state_url("redis://127.0.0.1:1"))
    asked = 0

    async def fail() -> None:
        nonlocal asked
        asked += 1
        raise OSError("gone")

    async def answer() -> str:
        return "here"

    for _ in range(5):
        with pytest.raises(RedisError):
            await shared.ask(fail)
    assert asked == 1
    with pytest.raises(RedisError):
        await shared.ask(answer)
    shared._away_until = time.monotonic()
    assert await shared.ask(answer) == "here"
    assert await shared.ask(answer) == "here"


texts = st.text(st.sampled_from("ab:/%{}"), max_size=6)


@given(texts, texts, texts, texts)
def test_no_two_customers_have_one_name(tenant: str, customer: str, other_tenant: str, other_customer: str):
    is_same = (tenant, customer) == (other_tenant, other_customer)
    assert (name_of_customer(tenant, customer) == name_of_customer(other_tenant, other_customer)) is is_same


def test_the_names_of_a_and_b_c_differ_from_those_of_a_b_and_c():
    assert name_of_customer("a", "b:c") != name_of_customer("a:b", "c")
