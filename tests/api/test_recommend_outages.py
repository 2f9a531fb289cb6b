from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.decision_catalogue import await_stream, cap, offer, offers_of, recommend, stock
from tests.faults.world import World
from tests.fixtures.api import CallerFactory, running_api
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.kafka import BrokerServer


@pytest.fixture
def lonely_world(own_broker: BrokerServer, clickhouse_url: str, tmp_path: Path) -> Iterator[World]:
    """A stream whose broker may be killed, without a worker."""
    with World.opened(own_broker.bootstrap, clickhouse_url, "lonely", tmp_path) as world:
        yield world


def test_what_kafka_does_not_take_is_not_shown_not_reserved_and_not_counted(
    lonely_world: World, own_broker: BrokerServer
):
    with running_api(lonely_world, RAPPORT_API_KAFKA_TIMEOUT_S="1") as client:
        caller = CallerFactory(client, lonely_world)(decision_quota=3)
        stock(caller, *offer("loan"), cap(1))
        wait_until(lambda: caller.post("/recommend", {"customerId": "cleo"}).status_code == 200, "the API is ready")
        assert offers_of(recommend(caller, "bob")) == ["loan"]
        own_broker.kill()
        for _ in range(2):
            assert caller.post("/recommend", {"customerId": "ann"}).status_code == 503
        (judged,) = caller.get("/customers/ann/eligibility").json()["offers"]
        assert judged["eligible"] is True
        (judged,) = caller.get("/customers/bob/eligibility").json()["offers"]
        assert judged["eligible"] is False


def test_a_response_finds_a_recommendation_of_another_process(new_caller: CallerFactory, api_world: World):
    caller = new_caller()
    stock(caller, *offer("loan"))
    with running_api(api_world) as elsewhere:
        await_stream(caller.at(elsewhere))
        body = recommend(caller)
        told = {"customerId": "ann", "recommendationId": body["recommendationId"], "rank": 1}
        done = caller.at(elsewhere).post("/respond", {**told, "outcome": "click", "idempotencyKey": "k"})
        assert (done.status_code, done.json()["offerId"]) == (201, "loan")
