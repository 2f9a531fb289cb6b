"""Watermark of the tables: compares, again and again, the end of the log with the applied positions."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog
from redis.exceptions import RedisError

from api.http.errors import unavailable
from api.runtime.single_flight import SingleFlight
from rapport.jobs import report_success
from rapport.kafka.clients import finish_call
from rapport.kafka.log import LogReader, open_log
from rapport.kafka.sources import Source, name_source
from rapport.kafka.topics import fetch_cluster_id, fetch_partitions
from rapport.state.customer_states import StreamCoverage
from rapport.storage.state_gaps import StreamView, read_stream_view
from rapport.storage.stream import read_generation, read_progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from api.http.metrics import ApiMetrics
    from rapport.settings import KafkaSettings
    from rapport.state.customer_states import Coverage, CustomerStates
    from rapport.storage.database import Database

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 0.2
"""Interval between reads of the log's end while nothing waits to be applied, or very much does."""
LOOK_CLOSELY_EVERY_S: Final = 0.05
"""The same while the stream keeps up; the stated lag lies above the truth by up to one such interval."""
CLOSE_LOOKS: Final = 200
"""With more looks that wait to be applied, the stream is seconds behind, and no moment matters."""
READ_EVERY_S: Final = 0.15
"""Interval between reads of the progress while anything waits to be applied; the stated lag may be as much too high."""
READ_FOR_WAITERS_EVERY_S: Final = 0.02
IDLE_S: Final = 2.0
"""How often the tables are read while everything in the log is known to be applied, and the topic while it is missing
or was replaced."""
VIEW_AGE_S: Final = 0.5
"""At this age a request looks at the progress and the coverage of customer states itself."""
MAX_VIEW_AGE_S: Final = 0.8
"""At most so old is what a request goes by when it uses a customer state (:data:`rapport.storage.state_gaps`)."""
_UNKNOWN: Final = StreamCoverage({}, {}, None)
KEPT_LOOKS: Final = 18_000
"""An hour of looks at the log; a stream further behind than that is reported as an hour behind, and growing."""
REOPEN_AFTER_S: Final = 60.0
"""How often it is asked anew what the topic is. That it has more partitions is noticed sooner."""


class Watermark:
    """Latest moment of which the tables hold the whole log.

    While Kafka or ClickHouse does not answer, the moment stays, and the lag grows.

    Args:
        states: Customer states; None where there are none.
    """

    def __init__(
        self, database: Database, kafka: KafkaSettings, metrics: ApiMetrics, states: CustomerStates | None = None
    ) -> None:
        self._database = database
        self._kafka = kafka
        self._metrics = metrics
        self._states = states
        self._covered = _UNKNOWN
        self._covered_at = -math.inf
        self._reads = SingleFlight[None, None](lambda _: self._read_progress())
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

    async def find_namespace(self, tenant_id: str) -> str | None:
        """Find the namespace in which customer states have everything that the tables had at the applied positions.

        Returns:
            None if states may not be used: they may miss events, or it is not known.

        Raises:
            StorageError: What is known is too old, and ClickHouse does not answer.
        """
        if self._states is None:
            return None
        if time.monotonic() - self._covered_at > VIEW_AGE_S:
            await self._reads.join(None)
        is_known = time.monotonic() - self._covered_at <= MAX_VIEW_AGE_S
        return self._covered.name_namespace(tenant_id) if is_known and self._covered.is_usable else None

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
            await asyncio.sleep(LOOK_CLOSELY_EVERY_S if 0 < len(self._looks) < CLOSE_LOOKS else LOOK_EVERY_S)
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
            await self._reads.join(None)
        finally:
            self._moved.set()
            self._moved.clear()
        if self._waiters or self._looks:
            await asyncio.sleep(READ_FOR_WAITERS_EVERY_S if self._waiters else READ_EVERY_S)
            return
        self._wanted.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wanted.wait(), IDLE_S)

    async def _read_progress(self) -> None:
        sources, began = self._sources, time.monotonic()
        names = {source.name: number for number, source in sources.items()}
        view = await self._read_view(list(names))
        coverage = await self._read_coverage()  # after the progress: what is recorded has been covered before
        if self._sources is sources:
            self._applied = {names[name]: offset for name, offset in view.progress.items()}
            self._covered = StreamCoverage(*view, coverage) if names else _UNKNOWN
            self._covered_at = began
            self._note()

    async def _read_view(self, names: Sequence[str]) -> StreamView:
        if not names:
            return StreamView({}, {})
        if self._states is None:
            return StreamView(await self._database.call(read_progress, names), {})
        return await self._database.call(read_stream_view, names)

    async def _read_coverage(self) -> Coverage | None:
        try:
            return await self._states.read_coverage() if self._states is not None else None
        except RedisError:
            return None

    def _note(self) -> None:
        """Find the latest moment whose log is applied; older ones are dropped."""
        while self._looks and all(self._applied.get(p, 0) >= end for p, end in self._looks[0][1].items()):
            self._fresh_at = max(self._looks.popleft()[0], self._fresh_at or 0.0)
        lag_ms = self.lag_ms
        if lag_ms is not None:
            self._metrics.lag_ms.set(lag_ms)
