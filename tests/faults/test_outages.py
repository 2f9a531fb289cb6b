"""Outages of ClickHouse and Kafka while events flow: batches are kept, no event is lost or counts twice."""

from __future__ import annotations

import random
import uuid
from pathlib import Path

import pytest

from rapport.embedded.supervisor.ports import find_free_port
from tests.faults.events import make_events
from tests.faults.proxy import running_proxy
from tests.faults.world import World
from tests.fixtures.broker import choose_server
from tests.fixtures.clickhouse import EndpointProcess
from tests.fixtures.deadlines import wait_until
from tests.fixtures.kafka import BrokerServer


def test_clickhouse_killed_in_the_middle_of_a_batch_loses_nothing(
    broker: BrokerServer, tmp_path: Path, rng: random.Random
) -> None:
    endpoint = EndpointProcess(tmp_path / "clickhouse")
    endpoint.start()
    world = World(broker.bootstrap, endpoint.url, f"w{uuid.uuid4().hex[:10]}", tmp_path)
    world.open()
    try:
        worker = world.start_worker()
        for _ in range(3):
            before = sum(world.applied().values())
            world.produce(make_events(rng, 800))
            wait_until(lambda: sum(world.applied().values()) > before, "some of it is applied", seconds=60)  # noqa: B023
            endpoint.kill()
            world.produce(make_events(rng, 100))
            wait_until(lambda: "will try again" in worker.output, "the worker backs off", seconds=60)
            endpoint.start()
        world.wait_applied()
        assert worker.exit_code is None
        world.verify()
    finally:
        world.close()
        endpoint.stop()


@pytest.mark.slow
def test_a_worker_started_without_clickhouse_waits_for_it(
    broker: BrokerServer, tmp_path: Path, rng: random.Random
) -> None:
    endpoint = EndpointProcess(tmp_path / "clickhouse")
    endpoint.start()
    world = World(broker.bootstrap, endpoint.url, f"w{uuid.uuid4().hex[:10]}", tmp_path)
    world.open()
    try:
        world.produce(make_events(rng, 300))
        endpoint.kill()
        worker = world.start_worker()
        wait_until(lambda: "will try again" in worker.output, "the worker waits", seconds=60)
        endpoint.start()
        world.wait_applied()
        world.verify()
    finally:
        world.close()
        endpoint.stop()


@pytest.mark.slow
def test_cut_connections_to_the_broker_lose_nothing(clickhouse_url: str, tmp_path: Path, rng: random.Random) -> None:
    with running_proxy(find_free_port()) as proxy:
        broker = choose_server()(tmp_path / "broker", proxy.port)
        proxy.target_port = int(broker.bootstrap.rpartition(":")[2])
        broker.start()
        world = World(proxy.address, clickhouse_url, f"w{uuid.uuid4().hex[:10]}", tmp_path)
        world.open()
        try:
            world.start_worker()
            for _ in range(3):
                before = sum(world.applied().values())
                world.produce(make_events(rng, 900))
                wait_until(lambda: sum(world.applied().values()) > before, "some of it is applied", seconds=90)  # noqa: B023
                proxy.cut()
                proxy.mend()
            world.wait_applied()
            world.verify()
        finally:
            world.close()
            broker.stop()
