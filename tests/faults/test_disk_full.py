"""Full disk of ClickHouse while events flow: batches are kept until there is space, and then no event is missing."""

from __future__ import annotations

import random
import uuid
from pathlib import Path

from tests.faults.events import make_events
from tests.faults.world import World
from tests.fixtures.clickhouse import EndpointProcess
from tests.fixtures.deadlines import wait_until
from tests.fixtures.kafka import BrokerServer
from tests.fixtures.small_disk import small_disk

LARGEST_REMAINDER_BYTES = 3 << 20


def test_a_full_disk_delays_batches_and_loses_none(broker: BrokerServer, tmp_path: Path, rng: random.Random) -> None:
    with small_disk(tmp_path / "disk", megabytes=96) as disk:
        endpoint = EndpointProcess(disk.path / "clickhouse")
        endpoint.start()
        world = World(broker.bootstrap, endpoint.url, f"w{uuid.uuid4().hex[:10]}", tmp_path)
        world.open()
        try:
            worker = world.start_worker()
            for leave_bytes in (0, rng.randrange(LARGEST_REMAINDER_BYTES)):
                world.produce(make_events(rng, 300))
                wait_until(lambda: sum(world.applied().values()) > 0, "some of it is applied", seconds=60)
                retries = worker.output.count("will try again")
                disk.fill(leave_bytes=leave_bytes)
                world.produce(make_events(rng, 1_200))
                wait_until(lambda: worker.output.count("will try again") > retries, "the worker backs off", seconds=60)  # noqa: B023
                assert world.applied() != world.produced
                disk.free()
            world.wait_applied()
            assert worker.exit_code is None
            world.verify()
        finally:
            world.close()
            endpoint.kill()
