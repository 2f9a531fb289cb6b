"""Reads of a partition's log: its true beginning and end are found on both brokers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine, Mapping
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition

from rapport.kafka.log import LogRange, open_log
from rapport.settings import KafkaSettings
from tests.fixtures.kafka import BrokerServer
from tests.fixtures.messages import create_topic


async def write_batch(bootstrap: str, topic: str, count: int) -> None:
    """Write one record batch of several messages: the embedded broker reports the end of such a log too low."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        batch = producer.create_batch()
        for _ in range(count):
            batch.append(key=None, value=b"x", timestamp=None)
        await (await producer.send_batch(batch, topic, partition=0))


def test_the_end_of_a_log_follows_its_last_message(broker: BrokerServer) -> None:
    topic = f"t{uuid.uuid4().hex[:10]}"

    async def look() -> tuple[LogRange, LogRange]:
        await create_topic(broker.bootstrap, topic)
        async with open_log(KafkaSettings(bootstrap=broker.bootstrap)) as reader:
            empty = (await reader.fetch_ranges([(topic, 0)]))[topic, 0]
            await write_batch(broker.bootstrap, topic, 7)
            await write_batch(broker.bootstrap, topic, 5)
            return empty, (await reader.fetch_ranges([(topic, 0)]))[topic, 0]

    assert asyncio.run(look()) == (LogRange(0, 0), LogRange(0, 12))


def test_unchanged_partitions_are_not_fetched_again(broker: BrokerServer) -> None:
    topic = f"t{uuid.uuid4().hex[:10]}"
    partitions = [(topic, number) for number in range(3)]
    fetched: list[int] = []

    async def look() -> list[dict[tuple[str, int], int]]:
        await create_topic(broker.bootstrap, topic, partitions=3)
        async with open_log(KafkaSettings(bootstrap=broker.bootstrap)) as reader:
            fetch = reader._high_watermarks

            def count(offsets: Mapping[TopicPartition, int]) -> Coroutine[Any, Any, dict[TopicPartition, int]]:
                fetched.append(len(offsets))
                return fetch(offsets)

            reader._high_watermarks = count  # type: ignore[method-assign]
            ends = [await reader.fetch_ends(partitions)]
            for _ in range(2):
                await write_batch(broker.bootstrap, topic, 7)
                ends += [await reader.fetch_ends(partitions), await reader.fetch_ends(partitions)]
            assert reader.partitions(topic) == {0, 1, 2}
            return ends

    ends = asyncio.run(look())
    assert [end[topic, 0] for end in ends] == [0, 7, 7, 14, 14]
    assert [end[topic, 1] for end in ends] == [0] * 5
    assert fetched == [1, 1]


def test_the_first_message_from_an_offset_on_is_found_or_there_is_none(broker: BrokerServer) -> None:
    topic = f"t{uuid.uuid4().hex[:10]}"

    async def look() -> list[int | None]:
        await create_topic(broker.bootstrap, topic)
        await write_batch(broker.bootstrap, topic, 9)
        async with open_log(KafkaSettings(bootstrap=broker.bootstrap)) as reader:
            return [await reader.find_first_at_or_after((topic, 0), offset) for offset in (0, 4, 8, 9)]

    assert asyncio.run(look()) == [0, 4, 8, None]
