"""Looks into a partition's log, outside any consumer group: where it begins, where it ends, what is at an offset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from rapport.kafka.clients import log_reader, uncut

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

    from rapport.settings import KafkaSettings

READ_TIMEOUT_MS = 2_000


@dataclass(frozen=True, slots=True)
class LogRange:
    """What a partition's log holds: offsets from ``begin`` up to, not including, ``end``."""

    begin: int
    end: int


class LogReader:
    """An open view of the logs."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def ranges(self, partitions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], LogRange]:
        """Where the logs begin and end.

        The end is looked up by reading the last batch, because the embedded broker answers the offset *after the first*
        message of the last batch when asked for the end.
        """
        wanted = [TopicPartition(*partition) for partition in partitions]
        begins = await self._consumer.beginning_offsets(wanted)
        ends = await self._consumer.end_offsets(wanted)
        found: dict[tuple[str, int], LogRange] = {}
        for partition in wanted:
            end = ends[partition]
            if end > begins[partition]:
                end = max(end, await self._end_from(partition, end - 1))
            found[partition.topic, partition.partition] = LogRange(begins[partition], end)
        return found

    async def first_at_or_after(self, partition: tuple[str, int], offset: int) -> int | None:
        """The lowest offset from ``offset`` on that holds a message; None if nothing follows."""
        at = TopicPartition(*partition)
        self._consumer.assign([at])
        self._consumer.seek(at, offset)
        try:
            found = await self._consumer.getmany(at, timeout_ms=READ_TIMEOUT_MS, max_records=1)
        except OffsetOutOfRangeError:
            begin = (await self._consumer.beginning_offsets([at]))[at]
            return begin if begin > offset else None
        messages = found.get(at, [])
        return int(messages[0].offset) if messages else None

    async def _end_from(self, partition: TopicPartition, offset: int) -> int:
        self._consumer.assign([partition])
        self._consumer.seek(partition, offset)
        messages = (await self._consumer.getmany(partition, timeout_ms=READ_TIMEOUT_MS)).get(partition, [])
        last = messages[-1].offset + 1 if messages else offset + 1
        return int(max(last, self._consumer.highwater(partition) or 0))


@asynccontextmanager
async def open_log(settings: KafkaSettings) -> AsyncIterator[LogReader]:
    """Open a view of the logs.

    Raises:
        KafkaError: The cluster does not answer.
    """
    consumer = log_reader(settings)
    try:
        await uncut(consumer.start())
        yield LogReader(consumer)
    finally:
        await asyncio.shield(consumer.stop())
