"""Events are in the log once, in order, in the partition that every Kafka client would choose."""

from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from rapport.application.imports.event_sender import MAX_ARRAY_BYTES, SendError, open_sender
from rapport.application.imports.feeds import Message
from rapport.kafka.clients import make_producer
from rapport.settings import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.fixtures.kafka import BrokerServer

pytestmark = pytest.mark.broker
PARTITIONS = [0, 1, 2]


def make_settings(broker: BrokerServer) -> KafkaSettings:
    name = f"produced-{uuid.uuid4().hex[:8]}"
    return KafkaSettings(
        bootstrap=broker.bootstrap,
        topic=name,
        dead_letter_topic=f"{name}.dead-letter",
        partitions=len(PARTITIONS),
        idempotent_producer=broker.kind == "kafka",
    )


def messages(count: int, customers: int = 7, size: int = 0) -> list[Message]:
    return [
        Message(b"t:c%d" % (number % customers), json.dumps({"number": number, "pad": "x" * size}).encode())
        for number in range(count)
    ]


@asynccontextmanager
async def reader(settings: KafkaSettings) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def read_all(settings: KafkaSettings, ends: Mapping[int, int]) -> dict[int, list[ConsumerRecord[bytes, bytes]]]:
    found: dict[int, list[ConsumerRecord[bytes, bytes]]] = {}
    async with reader(settings) as consumer:
        for number, end in ends.items():
            consumer.assign([TopicPartition(settings.topic, number)])
            consumer.seek(TopicPartition(settings.topic, number), 0)
            found[number] = []
            while len(found[number]) < end:
                found[number].append(await asyncio.wait_for(consumer.getone(), 20))
    return found


def test_every_event_is_in_the_log_once_and_in_order_per_customer(broker: BrokerServer):
    async def check() -> None:
        settings, sent = make_settings(broker), messages(5_000, size=300)
        async with open_sender(settings) as sender:
            await sender.add(sent[:1_000])
            await sender.add(sent[1_000:])
            await sender.flush()
            assert sender.acknowledged_events == len(sent)
            ends = dict(sender.next_offsets)
        assert sum(ends.values()) == len(sent)
        log = await read_all(settings, ends)
        partition_of = DefaultPartitioner()
        for number, records in log.items():
            expected = [m for m in sent if partition_of(m.key, PARTITIONS, PARTITIONS) == number]
            assert [(record.key, record.value) for record in records] == expected

    asyncio.run(check())


def test_arrays_hold_events_of_their_partition_in_order_and_have_no_key(broker: BrokerServer):
    async def check() -> None:
        settings, sent = make_settings(broker), messages(1_003, customers=50)
        async with open_sender(settings, events_per_message=100) as sender:
            await sender.add(sent)
            await sender.flush()
            assert sender.acknowledged_events == len(sent)
            log = await read_all(settings, sender.next_offsets)
        partition_of = DefaultPartitioner()
        for number, records in log.items():
            arrays = [msgspec.json.decode(record.value or b"", type=list[msgspec.Raw]) for record in records]
            assert {record.key for record in records} == {None}
            assert all(len(array) == 100 for array in arrays[:-1])
            expected = [m.value for m in sent if partition_of(m.key, PARTITIONS, PARTITIONS) == number]
            assert [bytes(item) for array in arrays for item in array] == expected

    asyncio.run(check())


def test_an_array_ends_before_it_is_too_large_for_a_broker(broker: BrokerServer):
    async def check() -> None:
        settings, sent = make_settings(broker), messages(20, customers=1, size=100_000)
        async with open_sender(settings, events_per_message=1_000) as sender:
            await sender.add(sent)
            await sender.flush()
            (records,) = (await read_all(settings, sender.next_offsets)).values()
        assert all(len(record.value or b"") <= MAX_ARRAY_BYTES + 2 for record in records)
        assert sum(len(json.loads(record.value or b"")) for record in records) == len(sent)

    asyncio.run(check())


def test_the_partition_is_the_one_that_the_plain_producer_chooses(broker: BrokerServer):
    async def check() -> None:
        settings = make_settings(broker)
        async with open_sender(settings) as sender:
            await sender.add(messages(7))
            await sender.flush()
        plain = make_producer(settings)
        await plain.start()
        try:
            places = {m.key: (await plain.send_and_wait(settings.topic, m.value, key=m.key)) for m in messages(7)}
        finally:
            await plain.stop()
        log = await read_all(settings, sender.next_offsets)
        ours = {record.key: record.partition for records in log.values() for record in records}
        assert ours == {key: place.partition for key, place in places.items()}

    asyncio.run(check())


def test_an_empty_run_is_fine(broker: BrokerServer):
    async def check() -> None:
        async with open_sender(make_settings(broker)) as sender:
            await sender.flush()
            assert (sender.acknowledged_events, sender.next_offsets) == (0, {})

    asyncio.run(check())


def test_an_unreachable_broker_is_named():
    async def check() -> None:
        with pytest.raises(SendError, match=r"Kafka at 127\.0\.0\.1:1 cannot be used"):
            async with open_sender(KafkaSettings(bootstrap="127.0.0.1:1")):
                pass

    asyncio.run(check())


def test_when_a_broker_dies_the_error_says_how_much_was_acknowledged(own_broker: BrokerServer):
    async def check() -> None:
        settings = make_settings(own_broker)
        async with open_sender(settings, patience_s=1.0) as sender:
            await sender.add(messages(10))
            await sender.flush()
            await asyncio.to_thread(own_broker.kill)
            await sender.add(messages(10))
            with pytest.raises(SendError, match="10 had been acknowledged"):
                await sender.flush()

    asyncio.run(asyncio.wait_for(check(), 60))
