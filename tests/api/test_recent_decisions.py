"""A decision is found as soon as it is answered, by every process, though the stream may write it much later."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from api.recommend import recent_decisions
from rapport.domain.customers.customer import CustomerKey
from rapport.settings import Secret
from rapport.state.customer_erasure import remove_shared_state
from rapport.state.recent_decisions import SharedDecisions, make_decision_key
from rapport.state.shared_state import connect_shared_state
from rapport.state.written_events import make_erasure_key
from tests.api.decision_catalogue import offer, recommend, stock
from tests.faults.world import World
from tests.fixtures.api import CallerFactory, running_api
from tests.fixtures.deadlines import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.api import Caller
    from tests.fixtures.kafka import BrokerServer
    from tests.fixtures.redis_server import RedisServer


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables are looked at twice; here they never have what is waited for."""
    monkeypatch.setattr(recent_decisions, "PAUSES_S", (0.01,))


@pytest.fixture
def unapplied_world(broker: BrokerServer, clickhouse_url: str, tmp_path: Path) -> Iterator[World]:
    """A stream without a worker: nothing is ever written to the tables."""
    with World.opened(broker.bootstrap, clickhouse_url, "unapplied", tmp_path) as world:
        yield world


def find(caller: Caller, body: dict[str, Any]) -> tuple[int, int, list[str]]:
    """Return what the routes that read a decision say: of the trace, of the replay, and a response's warnings."""
    recommendation_id = body["recommendationId"]
    trace = caller.get(f"/decision-traces/{recommendation_id}")
    replay = caller.post(f"/decisions/{recommendation_id}/replay")
    told = {"customerId": body["customerId"], "recommendationId": recommendation_id, "rank": 1, "outcome": "click"}
    response = caller.post("/respond", {**told, "idempotencyKey": uuid.uuid4().hex})
    assert response.status_code == 201
    if trace.status_code == replay.status_code == 200:
        assert trace.json()["customerId"] == body["customerId"]
        assert replay.json()["identical"] is True
        assert response.json()["offerId"] == body["decisions"][0]["offerId"]
    return trace.status_code, replay.status_code, [one["code"] for one in response.json().get("warnings", ())]


FOUND = (200, 200, [])
UNKNOWN = (404, 404, ["RECOMMENDATION_NOT_FOUND"])


def test_each_process_finds_what_another_has_just_decided(unapplied_world: World, redis_server: RedisServer):
    shared = {"RAPPORT_STATE_URL": redis_server.url}
    with (
        running_api(unapplied_world, **shared) as one,
        running_api(unapplied_world, **shared) as two,
        running_api(unapplied_world) as alone,
    ):
        new_caller = CallerFactory(one, unapplied_world)
        caller, other = new_caller(), new_caller()
        stock(caller, *offer("loan"))
        body, kept = recommend(caller), recommend(caller, "bob")
        assert find(caller, body) == FOUND
        assert find(caller.at(two), body) == FOUND
        assert find(caller.at(alone), body) == UNKNOWN
        assert find(other.at(two), body) == UNKNOWN
        erased = caller.post("/gdpr/erasure", {"customerId": "ann"})
        assert erased.status_code < 300, erased.text
        for place in (one, two):
            assert find(caller.at(place), body)[:2] == UNKNOWN[:2]
            assert find(caller.at(place), kept) == FOUND
        redis_server.kill()
        assert find(caller, kept) == FOUND
        assert find(caller.at(two), kept) == UNKNOWN


def test_a_customer_with_very_many_decisions_takes_no_more_than_its_share(
    unapplied_world: World, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("rapport.state.recent_decisions.MAX_KEPT", 8)
    shared = {"RAPPORT_STATE_URL": redis_server.url}
    with running_api(unapplied_world, **shared) as one, running_api(unapplied_world, **shared) as two:
        caller = CallerFactory(one, unapplied_world)()
        stock(caller, *offer("loan"))
        bodies = [recommend(caller) for _ in range(9)]
        assert find(caller.at(two), bodies[7]) == FOUND
        assert find(caller.at(two), bodies[8]) == UNKNOWN
        assert find(caller, bodies[8]) == FOUND


def test_a_customer_who_comes_back_all_the_time_keeps_what_was_decided_last(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("rapport.state.recent_decisions.KEPT_MS", 4_000)
    monkeypatch.setattr("rapport.state.recent_decisions.MAX_KEPT", 2)
    asyncio.run(_come_back(redis_server.url))


async def _come_back(url: str) -> None:
    shared = connect_shared_state(Secret(url))
    assert shared is not None
    decisions, ann = SharedDecisions(shared), CustomerKey("acme", "ann")
    await decisions.add(ann, "first", b"1")
    name = make_decision_key("acme", "first")

    async def is_half_over() -> bool:
        return int(await shared.redis.pttl(name)) < 2_000

    async def is_over() -> bool:
        return await decisions.find("acme", "first") is None

    await until(is_half_over, "half of its time is over")
    await decisions.add(ann, "second", b"2")
    await decisions.add(ann, "too many", b"3")
    assert await decisions.find("acme", "too many") is None
    await until(is_over, "the first lapses")
    await decisions.add(ann, "third", b"4")
    assert await decisions.find("acme", "third") == b"4"
    await remove_shared_state(shared, ann)
    assert await decisions.find("acme", "third") is None
    assert await shared.redis.keys("*") == [make_erasure_key(*ann).encode()]
    await shared.redis.aclose()


def test_old_decisions_leave_memory_before_it_grows(unapplied_world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recent_decisions, "MAX_BYTES", 20_000)
    with running_api(unapplied_world) as client:
        caller = CallerFactory(client, unapplied_world)()
        stock(caller, *offer("loan"))
        bodies = [
            recommend(caller, attributes={"x": msgspec.json.encode(list(range(n, n + 99))).decode()}) for n in range(60)
        ]
        found = [
            caller.get(f"/decision-traces/{body['recommendationId']}").status_code for body in bodies[:2] + bodies[-2:]
        ]
        assert found == [404, 404, 200, 200]
