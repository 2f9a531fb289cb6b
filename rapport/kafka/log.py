"""Reader of a partition's log, outside any consumer group: its begin, its end, the message at an offset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError, OffsetOutOfRangeError

from rapport.kafka.clients import finish_call, make_log_reader

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

    from rapport.settings import KafkaSettings

READ_TIMEOUT_MS = 2_000
LOOK_AGAIN_S = 0.002


@dataclass(frozen=True, slots=True)
class LogRange:
    """Offsets that a partition's log holds: from ``begin`` up to, not including, ``end``."""

    begin: int
    end: int


class LogReader:
    """Open reader of partition logs."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._ends: dict[TopicPartition, tuple[int, int]] = {}

    async def fetch_ranges(self, partitions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], LogRange]:
        """Return where the logs begin and end.

        Raises:
            KafkaError: The cluster does not answer.
        """
        begins = await self._consumer.beginning_offsets([TopicPartition(*partition) for partition in partitions])
        ends = await self.fetch_ends(partitions)
        return {partition: LogRange(begins[TopicPartition(*partition)], end) for partition, end in ends.items()}

    async def fetch_ends(self, partitions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Return the offset behind the last message of each partition.

        The embedded broker answers a request for the end with the offset *after the first* message of the last batch.
        Its fetches return the high watermark, as Kafka's do, so that a new end is checked by a fetch.

        Raises:
            KafkaError: The cluster does not answer.
        """
        wanted = [TopicPartition(*partition) for partition in partitions]
        listed: dict[TopicPartition, int] = await self._consumer.end_offsets(wanted)
        moved = {tp: end for tp, end in listed.items() if end and self._ends.get(tp, (0, 0))[0] != end}
        if moved:
            self._ends |= {tp: (moved[tp], end) for tp, end in (await self._high_watermarks(moved)).items()}
        return {(tp.topic, tp.partition): self._ends[tp][1] if listed[tp] else 0 for tp in wanted}

    def partitions(self, topic: str) -> set[int]:
        """Return the partitions of a topic that was read before; a new one is known within ten seconds."""
        return set(self._consumer.partitions_for_topic(topic) or ())

    async def find_first_at_or_after(self, partition: tuple[str, int], offset: int) -> int | None:
        """Return the lowest offset from ``offset`` on that holds a message; None if nothing follows."""
        at = TopicPartition(*partition)
        self._consumer.assign([at])
        self._consumer.seek(at, offset)
        try:
            records = await self._consumer.getmany(at, timeout_ms=READ_TIMEOUT_MS, max_records=1)
        except OffsetOutOfRangeError:
            begin = (await self._consumer.beginning_offsets([at]))[at]
            return begin if begin > offset else None
        messages = records.get(at, [])
        return int(messages[0].offset) if messages else None

    async def fetch_message(self, partition: tuple[str, int], offset: int) -> tuple[bytes, bytes] | None:
        """Return the key and the value of the message at an offset; None if there is none.

        Raises:
            KafkaError: The cluster does not answer, or the message cannot be read.
        """
        at = TopicPartition(*partition)
        self._consumer.assign([at])
        self._consumer.seek(at, offset)
        messages = (await self._consumer.getmany(at, timeout_ms=READ_TIMEOUT_MS, max_records=1)).get(at, [])
        match = next((message for message in messages if message.offset == offset), None)
        return (match.key or b"", match.value or b"") if match else None

    async def _high_watermarks(self, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Fetch from these offsets on, all partitions at once, for the high watermarks in the answers."""
        self._consumer.assign(list(offsets))  # this drops the high watermarks of an earlier assignment
        for partition, offset in offsets.items():
            self._consumer.seek(partition, offset)
        try:
            async with asyncio.timeout(READ_TIMEOUT_MS / 1000):
                while any(self._consumer.highwater(partition) is None for partition in offsets):  # noqa: ASYNC110 - there is no event to wait for
                    await asyncio.sleep(LOOK_AGAIN_S)
        except TimeoutError:
            raise KafkaTimeoutError("the end of the log could not be fetched") from None
        finally:
            self._consumer.pause(*offsets)
        return {tp: max(offset, int(self._consumer.highwater(tp) or 0)) for tp, offset in offsets.items()}


@asynccontextmanager
async def open_log(settings: KafkaSettings) -> AsyncIterator[LogReader]:
    """Open a log reader.

    Raises:
        KafkaError: The cluster does not answer.
    """
    consumer = make_log_reader(settings)
    try:
        await finish_call(consumer.start())
        yield LogReader(consumer)
    finally:
        await asyncio.shield(consumer.stop())
