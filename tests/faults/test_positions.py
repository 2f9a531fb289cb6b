"""Start positions: the recorded progress decides; messages that Faust or Kafka skips are read again."""

from __future__ import annotations

import asyncio
import random

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from tests.faults.events import make_events
from tests.faults.world import World
from tests.fixtures.deadlines import wait_until
from tests.fixtures.processes import run_in_keeper


@pytest.mark.parametrize("path", ["lean", "stock"])
def test_messages_dropped_by_the_consumer_are_read_again(world: World, rng: random.Random, path: str) -> None:
    world.produce(make_events(rng, 1_200))
    worker = world.start_worker(module="tests.faults.leaky_worker", RAPPORT_WORKER_CONSUMER=path)
    world.wait_applied()
    assert "messages were not delivered" in worker.output
    world.verify()


def test_a_lost_last_fetch_is_read_again_without_later_messages(world: World, rng: random.Random) -> None:
    worker = world.start_worker(module="tests.faults.leaky_worker", LEAK="all")
    world.produce(make_events(rng, 100))
    world.wait_applied()
    world.produce(make_events(rng, 6))
    world.wait_applied()
    assert "were not delivered" in worker.output
    world.verify()


def test_committed_offsets_ahead_of_the_progress_are_ignored(world: World, rng: random.Random) -> None:
    world.produce(make_events(rng, 500))
    run_in_keeper(lambda: asyncio.run(_commit(world, dict(world.produced))))
    world.start_worker()
    world.wait_applied()
    world.verify()


@pytest.mark.slow
def test_a_topic_created_after_the_worker_is_consumed(world: World, rng: random.Random) -> None:
    worker = world.start_worker(KAFKA_CREATE_TOPICS="false")
    wait_until(lambda: "source topic does not exist yet" in worker.output, "the worker waits", seconds=60)
    world.produce(make_events(rng, 300))
    world.wait_applied()
    world.verify()


@pytest.mark.slow
def test_a_log_that_ends_before_the_recorded_progress_is_refused(world: World, rng: random.Random) -> None:
    world.produce(make_events(rng, 300))
    first = world.start_worker()
    world.wait_applied()
    first.stop()
    world.store.execute(
        "INSERT INTO stream_progress SELECT * REPLACE (next_offset + 100000 AS next_offset) FROM stream_progress FINAL"
    )
    second = world.start_worker()
    wait_until(lambda: "partition refused" in second.output, "the worker refuses", seconds=60)
    assert "rapport topic recreated" in second.output
    assert second.exit_code is None


@pytest.mark.slow
def test_the_stock_consumer_gives_the_same_totals(world: World, rng: random.Random) -> None:
    world.produce(make_events(rng, 800))
    world.produce_arrays(make_events(rng, 300), 50)
    world.start_worker(RAPPORT_WORKER_CONSUMER="stock")
    world.wait_applied()
    world.verify()


async def _commit(world: World, offsets: dict[int, int]) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=world.env["KAFKA_BOOTSTRAP"], group_id=world.name, enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(world.name, partition) for partition in offsets])
        await consumer.commit(
            {TopicPartition(world.name, partition): OffsetAndMetadata(o, "") for partition, o in offsets.items()}
        )
    finally:
        await consumer.stop()
