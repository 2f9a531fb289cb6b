"""Kafka producer. A write is acknowledged when the log of every in-sync replica has it, and not before."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from api.http.errors import ApiError, unavailable
from rapport.jobs import report_success
from rapport.kafka.clients import finish_call, make_producer
from rapport.kafka.topics import create_topics

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

    from rapport.settings import Settings

log = structlog.get_logger(__name__)
LINGER_MS: Final = 1
STOP_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class RecordMetadata:
    """Position of a message in the log.

    Attributes:
        timestamp_ms: The message's own time, epoch milliseconds; events that name no time happened then.
    """

    partition: int
    offset: int
    timestamp_ms: int


class EventProducer:
    """Sends messages to the topic of interactions. A background job connects it."""

    def __init__(self, settings: Settings) -> None:
        self._kafka = settings.kafka
        self._timeout_s = settings.api.kafka_timeout_s
        self._producer: AIOKafkaProducer | None = None
        self._partitions: list[int] = []
        self._partitioner = DefaultPartitioner()

    @property
    def is_ready(self) -> bool:
        """Whether it has connected."""
        return self._producer is not None

    async def run(self) -> None:
        """Connect, and disconnect when cancelled, after sending the accepted messages.

        Raises:
            KafkaError: Kafka does not answer; so does OSError mean.
        """
        self._producer = await self._connect()
        report_success()
        try:
            await asyncio.Event().wait()
        finally:
            producer, self._producer = self._producer, None
            with suppress(TimeoutError):
                await asyncio.wait_for(producer.stop(), STOP_S)

    def choose_partition(self, key: bytes) -> int:
        """Choose the partition of messages with a key.

        Raises:
            ApiError: 503; Kafka has not answered yet.
        """
        if not self._partitions:
            raise _away()
        return int(self._partitioner(key, self._partitions, self._partitions))

    async def send(self, partition: int, key: bytes | None, value: bytes) -> RecordMetadata:
        """Send one message and wait until Kafka has it.

        Raises:
            ApiError: 503; it is not known to be in the log. Sending it again is safe: its events keep their
                idempotency keys.
        """
        if self._producer is None:
            raise _away()
        try:
            async with asyncio.timeout(self._timeout_s + 1):
                sent = await self._producer.send(self._kafka.topic, value, key=key, partition=partition)
                done = await asyncio.shield(sent)
        except (KafkaError, TimeoutError, OSError) as error:
            log.warning("kafka did not take a message", error=repr(error))
            raise _away() from error
        return RecordMetadata(done.partition, done.offset, done.timestamp)

    async def _connect(self) -> AIOKafkaProducer:
        producer = make_producer(
            self._kafka, linger_ms=LINGER_MS, request_timeout_ms=max(int(self._timeout_s * 1000), 1)
        )
        try:
            if self._kafka.create_topics:
                await create_topics(self._kafka)
            await finish_call(producer.start())
            self._partitions = sorted(await finish_call(producer.partitions_for(self._kafka.topic)))
        except BaseException:
            await producer.stop()
            raise
        return producer


def _away() -> ApiError:
    return unavailable(
        "Kafka does not take events at the moment. Send the request again with the same idempotency keys: whatever was "
        "taken of it counts once."
    )
