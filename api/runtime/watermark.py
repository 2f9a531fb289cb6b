"""Watermark of the tables: compares, again and again, the end of the log with the applied positions."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

from api.http.errors import unavailable
from rapport.jobs import report_success
from rapport.kafka.clients import finish_call
from rapport.kafka.log import LogReader, open_log
from rapport.kafka.sources import Source, name_source
from rapport.kafka.topics import fetch_cluster_id, fetch_partitions
from rapport.storage.stream import read_generation, read_progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.http.metrics import ApiMetrics
    from rapport.settings import KafkaSettings
    from rapport.storage.database import Database

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 0.2
LOOK_FOR_WAITERS_EVERY_S: Final = 0.02
IDLE_S: Final = 2.0
"""How often the tables are read while everything in the log is known to be applied, and the topic while it is missing
or was replaced."""
KEPT_LOOKS: Final = 18_000
"""An hour of looks at the log; a stream further behind than that is reported as an hour behind, and growing."""
REOPEN_AFTER_S: Final = 60.0
"""How often it is asked anew what the topic is. That it has more partitions is noticed sooner."""


class Watermark:
    """Latest moment of which the tables hold the whole log.

    While Kafka or ClickHouse does not answer, the moment stays, and the lag grows.
    """

    def __init__(self, database: Database, kafka: KafkaSettings, metrics: ApiMetrics) -> None:
        self._database = database
        self._kafka = kafka
        self._metrics = metrics
        self._looks: deque[tuple[float, Mapping[int, int]]] = deque(maxlen=KEPT_LOOKS)
        self._fresh_at: float | None = None
        self._sources: dict[int, Source] = {}
        self._replaced: frozenset[int] = frozenset()
        self._applied: dict[int, int] = {}
        self._waiters = 0
        self._moved = asyncio.Event()
        self._wanted = asyncio.Event()

    @property
    def lag_ms(self) -> int | None:
        """Age of the data that reads show, in milliseconds; None while nothing is known yet."""
        return None if self._fresh_at is None else max(int((time.time() - self._fresh_at) * 1000), 0)

    @property
    def sources(self) -> Mapping[int, Source]:
        """The logs of the topic's partitions; empty until Kafka has answered once."""
        return self._sources

    @property
    def applied(self) -> Mapping[int, int]:
        """By partition: everything before this offset is in the tables."""
        return self._applied

    def find_source(self, partition: int) -> Source:
        """Find the log of a partition.

        Raises:
            ApiError: 503; Kafka has not answered yet.
        """
        source = self._sources.get(partition)
        if source is None:
            raise unavailable("Kafka has not said yet which logs there are; try again shortly.")
        return source

    async def wait_for(self, offsets: Mapping[int, int], timeout_s: float) -> bool:
        """Wait until every offset, by partition, has been applied; False if that takes longer than allowed."""
        deadline = time.monotonic() + timeout_s
        self._waiters += 1
        self._wanted.set()
        try:
            while not self._has_applied(offsets):
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return False
                try:
                    await asyncio.wait_for(self._moved.wait(), left_s)
                except TimeoutError:
                    return self._has_applied(offsets)
            return True
        finally:
            self._waiters -= 1

    def _has_applied(self, offsets: Mapping[int, int]) -> bool:
        if not self._replaced.isdisjoint(offsets):
            return False
        return all(self._applied.get(partition, 0) > offset for partition, offset in offsets.items())

    async def follow_log(self) -> None:
        """Read the ends of the log for a minute, or until the topic has changed.

        Raises:
            KafkaError: Kafka does not answer; so does OSError mean.
            StorageError: ClickHouse does not.
        """
        await self._learn_sources()
        async with open_log(self._kafka) as reader:
            await self._look_while_sources_are_the_same(reader)

    async def _learn_sources(self) -> None:
        cluster_id = await fetch_cluster_id(self._kafka)
        generation = await self._database.call(read_generation, cluster_id, self._kafka.topic)
        partitions = await fetch_partitions(self._kafka, self._kafka.topic)
        sources = {number: name_source(cluster_id, self._kafka.topic, number, generation) for number in partitions}
        if sources != self._sources:
            self._looks.clear()  # of other logs
            self._applied = {number: self._applied[number] for number in self._same(sources) if number in self._applied}
            self._replaced = self._replaced & self._same(sources)
            self._sources = sources

    def _same(self, sources: Mapping[int, Source]) -> frozenset[int]:
        return frozenset(number for number, source in sources.items() if self._sources.get(number) == source)

    async def _look_while_sources_are_the_same(self, reader: LogReader) -> None:
        until = time.monotonic() + REOPEN_AFTER_S
        while self._sources and time.monotonic() < until:
            await self._look_at_log(reader)
            if self._replaced or reader.partitions(self._kafka.topic) > self._sources.keys():
                break
            await asyncio.sleep(LOOK_EVERY_S)
        if self._replaced or not self._sources:
            await asyncio.sleep(IDLE_S)

    async def _look_at_log(self, reader: LogReader) -> None:
        looked_at, applied = time.time(), self._applied
        found = await finish_call(reader.fetch_ends([(self._kafka.topic, number) for number in self._sources]))
        ends = {number: end for (_, number), end in found.items()}
        self._replaced = frozenset(number for number, end in ends.items() if end < applied.get(number, 0))
        if self._replaced:
            log.warning("the log is shorter than what was applied: was the topic recreated?", ends=ends)
            self._looks.clear()
            return
        report_success()
        self._looks.append((looked_at, ends))
        self._note()
        if self._looks:
            self._wanted.set()

    async def follow_tables(self) -> None:
        """Read the progress of the stream once, and then wait for the next read, or until a request waits for it.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        try:
            await self._read_progress()
        finally:
            self._moved.set()
            self._moved.clear()
        if self._waiters or self._looks:
            await asyncio.sleep(LOOK_FOR_WAITERS_EVERY_S if self._waiters else LOOK_EVERY_S)
            return
        self._wanted.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wanted.wait(), IDLE_S)

    async def _read_progress(self) -> None:
        sources = self._sources
        names = {source.name: number for number, source in sources.items()}
        progress = await self._database.call(read_progress, list(names)) if names else {}
        if self._sources is sources:
            self._applied = {names[name]: offset for name, offset in progress.items()}
            self._note()

    def _note(self) -> None:
        """Find the latest moment whose log is applied; older ones are dropped."""
        while self._looks and all(self._applied.get(p, 0) >= end for p, end in self._looks[0][1].items()):
            self._fresh_at = max(self._looks.popleft()[0], self._fresh_at or 0.0)
        lag_ms = self.lag_ms
        if lag_ms is not None:
            self._metrics.lag_ms.set(lag_ms)
