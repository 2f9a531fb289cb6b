"""Restart of a killed broker on the same log, while events flow. Only Apache Kafka keeps a log."""

from __future__ import annotations

import random
import uuid
from pathlib import Path

import pytest

from tests.faults.events import make_events
from tests.faults.world import World
from tests.fixtures.deadlines import wait_until
from tests.fixtures.kafka import BrokerServer


@pytest.mark.slow
def test_a_killed_and_restarted_broker_loses_no_event(
    own_broker: BrokerServer, clickhouse_url: str, tmp_path: Path, rng: random.Random
) -> None:
    world = World(own_broker.bootstrap, clickhouse_url, f"w{uuid.uuid4().hex[:10]}", tmp_path)
    world.open()
    try:
        workers = [world.start_worker(), world.start_worker()]
        for _ in range(2):
            before = sum(world.applied().values())
            world.produce(make_events(rng, 1_500))
            wait_until(lambda: sum(world.applied().values()) > before, "some of it is applied", seconds=90)  # noqa: B023
            own_broker.kill()
            own_broker.start()
        world.produce(make_events(rng, 300))
        world.wait_applied(180)
        assert [worker.exit_code for worker in workers] == [None, None]
        world.verify()
    finally:
        world.close()
