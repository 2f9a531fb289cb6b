"""Sender of events to Kafka: batches are filled here, few are in flight, each is acknowledged by every replica."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.partitioner import DefaultPartitioner

from rapport.kafka.clients import make_producer
from rapport.kafka.topics import create_topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from aiokafka import AIOKafkaProducer

    from rapport.application.imports.feeds import Message
    from rapport.settings import KafkaSettings

MAX_ARRAY_BYTES: Final = 512 * 1024
"""An array message ends at this size however few events it holds: brokers accept messages of 1 MB by default."""
PATIENCE_S: Final = 60.0
STOP_S: Final = 10.0


class SendError(Exception):
    """Kafka does not accept the events; the text says why and what would help."""


@dataclass(slots=True)
class _Partition:
    """Unsent events of one partition."""

    batch: Any
    batch_events: int = 0
    array: list[bytes] = field(default_factory=list)
    array_bytes: int = 0

    def append(self, key: bytes | None, value: bytes, events: int) -> bool:
        """Add a message to the batch; return False when it is full. The first one always fits."""
        if self.batch.append(timestamp=None, key=key, value=value) is None:
            return False
        self.batch_events += events
        return True


class EventSender:
    """Sends events to the partitions of one topic, in order within each.

    Filling batches here costs a fraction of ``AIOKafkaProducer.send``, which makes a future and a lookup per event. Per
    partition one batch is filled, one is queued and one in flight; :meth:`add` waits beyond that.

    Args:
        producer: A started producer.
        topic: The topic.
        partitions: Its partitions.
        events_per_message: Above 1, that many events of a partition are sent as one array. Such a message has no key:
            it holds several customers, all of which belong to its partition.
        patience_s: Maximum time without an acknowledgement at the end.

    Attributes:
        acknowledged_events: Number of events that Kafka has acknowledged.
        next_offsets: By partition, the offset after the last acknowledged message.
    """

    def __init__(
        self,
        producer: AIOKafkaProducer,
        topic: str,
        partitions: list[int],
        *,
        events_per_message: int = 1,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._events_per_message = events_per_message
        self._patience_s = patience_s
        self._open = {partition: _Partition(producer.create_batch()) for partition in partitions}
        self._on_the_way: set[asyncio.Future[Any]] = set()
        self._failure: BaseException | None = None
        partitioner = DefaultPartitioner()
        ordered = sorted(partitions)
        # cached, because the hash is computed in Python and customers recur
        self._partition_of = lru_cache(maxsize=1 << 18)(lambda key: partitioner(key, ordered, ordered))
        self.acknowledged_events = 0
        self.next_offsets: dict[int, int] = {}

    async def add(self, messages: Iterable[Message]) -> None:
        """Add events; waits while too many batches are in flight.

        Raises:
            SendError: An earlier batch was not accepted.
        """
        for key, value in messages:
            number = self._partition_of(key)
            partition = self._open[number]
            if self._events_per_message == 1:
                if not partition.append(key, value, 1):
                    await self._dispatch(number, partition)
                    partition.append(key, value, 1)
                continue
            if partition.array_bytes + len(value) > MAX_ARRAY_BYTES:
                await self._close_array(number, partition)
            partition.array.append(value)
            partition.array_bytes += len(value) + 1
            if len(partition.array) == self._events_per_message:
                await self._close_array(number, partition)
        await asyncio.sleep(0)  # otherwise a feed that never waits would starve the connection

    async def flush(self) -> None:
        """Send the remaining events and wait until all are acknowledged.

        Raises:
            SendError: A batch was not accepted.
        """
        for number, partition in self._open.items():
            await self._close_array(number, partition)
            await self._dispatch(number, partition)
        while self._on_the_way:
            done, _ = await asyncio.wait(
                self._on_the_way, timeout=self._patience_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:  # an idempotent producer retries for ever
                raise self._describe(TimeoutError(f"no answer for {self._patience_s:g} s"))
        self._raise_failure()

    async def _close_array(self, number: int, partition: _Partition) -> None:
        events = len(partition.array)
        if events:
            value = b"[" + b",".join(partition.array) + b"]"
            partition.array, partition.array_bytes = [], 0
            if not partition.append(None, value, events):
                await self._dispatch(number, partition)
                partition.append(None, value, events)

    async def _dispatch(self, number: int, partition: _Partition) -> None:
        batch, events = partition.batch, partition.batch_events
        messages = batch.record_count()
        if not messages:
            return
        partition.batch, partition.batch_events = self._producer.create_batch(), 0
        self._raise_failure()
        try:
            sent = await self._producer.send_batch(batch, self._topic, partition=number)
        except KafkaError as error:
            raise self._describe(error) from error
        self._on_the_way.add(sent)
        sent.add_done_callback(lambda future: self._record_outcome(future, number, messages, events))

    def _record_outcome(self, sent: asyncio.Future[Any], number: int, messages: int, events: int) -> None:
        self._on_the_way.discard(sent)
        failure = asyncio.CancelledError() if sent.cancelled() else sent.exception()
        if failure is not None:
            self._failure = self._failure or failure
            return
        self.acknowledged_events += events
        self.next_offsets[number] = max(self.next_offsets.get(number, 0), sent.result().offset + messages)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._describe(self._failure) from self._failure

    def _describe(self, failure: BaseException) -> SendError:
        return SendError(
            f"Kafka takes no more events: {failure}\n{self.acknowledged_events:,} had been acknowledged; "
            "sending all of them again is safe, as they keep their idempotency keys."
        )


@asynccontextmanager
async def open_sender(
    settings: KafkaSettings, *, events_per_message: int = 1, patience_s: float = PATIENCE_S
) -> AsyncIterator[EventSender]:
    """Connect to Kafka, and create missing topics if the settings allow it.

    Raises:
        SendError: The cluster does not answer or refuses.
    """
    producer = make_producer(settings)
    try:
        try:
            if settings.create_topics:
                await create_topics(settings)
            await producer.start()
            partitions = sorted(await producer.partitions_for(settings.topic))
        except KafkaError as error:
            raise _build_connection_error(error, settings) from error
        yield EventSender(
            producer,
            settings.topic,
            partitions,
            events_per_message=events_per_message,
            patience_s=patience_s,
        )
    finally:
        await _stop(producer)


async def _stop(producer: AIOKafkaProducer) -> None:
    """Stop a producer, also one with events that Kafka does not accept."""
    try:
        await asyncio.wait_for(producer.stop(), STOP_S)
    except TimeoutError:
        await producer.client.close()


def _build_connection_error(error: KafkaError, settings: KafkaSettings) -> SendError:
    text = f"Kafka at {settings.bootstrap} cannot be used: {error}"
    if settings.idempotent_producer and not isinstance(error, KafkaConnectionError):
        text += "\nThe embedded broker needs KAFKA_IDEMPOTENT_PRODUCER=false."
    return SendError(text)
