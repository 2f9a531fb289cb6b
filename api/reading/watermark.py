"""How fresh the tables are: compares, again and again, where the log ends with how far it has been applied."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import structlog
from aiokafka.errors import KafkaError

from api.background import end
from rapport.kafka.clients import FINISH_S, uncut
from rapport.kafka.log import LogReader, open_log
from rapport.kafka.sources import Source, source_of
from rapport.kafka.topics import cluster_id_of, partitions_of
from rapport.storage.errors import StorageError
from rapport.storage.stream import read_generation, read_progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.database import Database
    from api.metrics import ApiMetrics
    from rapport.settings import KafkaSettings

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 0.5
LOOK_FOR_WAITERS_EVERY_S: Final = 0.02
KEPT_LOOKS: Final = 7_200
"""An hour of looks at the log; a stream further behind than that is reported as an hour behind, and growing."""
REOPEN_AFTER_S: Final = 60.0
"""How often it is asked anew which partitions there are."""


class Watermark:
    """Everything that was in the log at some moment is in the tables: this knows the latest such moment.

    Neither Kafka nor ClickHouse answering makes data look fresh: the moment then stays, and the lag grows.
    """

    def __init__(self, database: Database, kafka: KafkaSettings, metrics: ApiMetrics) -> None:
        self._database = database
        self._kafka = kafka
        self._metrics = metrics
        self._looks: deque[tuple[float, Mapping[int, int]]] = deque(maxlen=KEPT_LOOKS)
        self._fresh_at: float | None = None
        self._sources: dict[int, Source] = {}
        self._applied: dict[int, int] = {}
        self._waiters = 0
        self._moved = asyncio.Event()
        self._wanted = asyncio.Event()

    @property
    def lag_ms(self) -> int | None:
        """How old what is read now may be, in milliseconds; None while nothing is known yet."""
        return None if self._fresh_at is None else max(int((time.time() - self._fresh_at) * 1000), 0)

    @property
    def sources(self) -> Mapping[int, Source]:
        """The logs of the topic's partitions; empty until Kafka has answered once."""
        return self._sources

    @property
    def applied(self) -> Mapping[int, int]:
        """By partition: everything before this offset is in the tables."""
        return self._applied

    async def run(self) -> None:
        """Look until cancelled."""
        loops = [asyncio.create_task(self._follow_log()), asyncio.create_task(self._follow_tables())]
        try:
            await asyncio.gather(*loops)
        finally:
            await end(loops, again_after_s=FINISH_S + 1)

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
        return all(self._applied.get(partition, 0) > offset for partition, offset in offsets.items())

    async def _follow_log(self) -> None:
        delay_s = LOOK_EVERY_S
        while True:
            try:
                async with AsyncExitStack() as stack:
                    await self._learn_sources()
                    reader = await stack.enter_async_context(open_log(self._kafka))
                    delay_s = LOOK_EVERY_S
                    until = time.monotonic() + REOPEN_AFTER_S
                    while time.monotonic() < until:
                        await self._look_at_log(reader)
                        await asyncio.sleep(LOOK_EVERY_S)
            except (KafkaError, OSError, StorageError) as error:
                log.warning("the end of the log is not known", error=str(error))
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, 5.0)

    async def _learn_sources(self) -> None:
        cluster_id = await cluster_id_of(self._kafka)
        generation = await self._database.call(read_generation, cluster_id, self._kafka.topic)
        partitions = await partitions_of(self._kafka, self._kafka.topic)
        sources = {number: source_of(cluster_id, self._kafka.topic, number, generation) for number in partitions}
        if sources != self._sources:
            self._looks.clear()  # of other logs
            self._applied = {}
            self._sources = sources

    async def _look_at_log(self, reader: LogReader) -> None:
        looked_at = time.time()
        ranges = await uncut(reader.ranges([(self._kafka.topic, number) for number in self._sources]))
        self._looks.append((looked_at, {number: held.end for (_, number), held in ranges.items()}))

    async def _follow_tables(self) -> None:
        while True:
            try:
                names = {source.name: number for number, source in self._sources.items()}
                if names:
                    progress = await self._database.call(read_progress, list(names))
                    self._applied = {names[name]: offset for name, offset in progress.items()}
                    self._note()
            except StorageError as error:
                log.warning("it is not known how far the stream is", error=str(error))
            self._moved.set()
            self._moved.clear()
            if self._waiters:
                await asyncio.sleep(LOOK_FOR_WAITERS_EVERY_S)
                continue
            self._wanted.clear()
            try:
                await asyncio.wait_for(self._wanted.wait(), LOOK_EVERY_S)
            except TimeoutError:
                continue

    def _note(self) -> None:
        """Find the latest moment whose log is applied; what is older is not needed any more."""
        while self._looks and all(self._applied.get(p, 0) >= end for p, end in self._looks[0][1].items()):
            self._fresh_at = max(self._looks.popleft()[0], self._fresh_at or 0.0)
        lag_ms = self.lag_ms
        if lag_ms is not None:
            self._metrics.lag_ms.set(lag_ms)
