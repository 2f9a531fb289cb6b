"""Start offsets of assigned partitions. The authority is ``stream_progress``, not Kafka's committed offset."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog

from pipeline.batch import Partition
from pipeline.retries import retry_while_unavailable
from rapport.domain.rejections import Rejection, RejectionCode
from rapport.kafka.log import LogRange, open_log
from rapport.kafka.sources import Source, name_source
from rapport.storage.sources import read_skips
from rapport.storage.stream import read_generation, read_progress

if TYPE_CHECKING:
    from rapport.metrics import StreamMetrics
    from rapport.settings import KafkaSettings
    from rapport.storage.client import Store

log = structlog.get_logger(__name__)


class Positions:
    """Next offset of every partition this worker may apply.

    Attributes:
        sources: The logs of the assigned partitions.
        next_offset: Where each continues. A partition that is missing here must not be processed.
        refused: Partitions that must not be processed, and why.
        lost: Ranges (from, to) that retention deleted before they were read, by partition.
        skipped: Messages that an operator has named to be skipped, by partition and offset, with the reason.
    """

    def __init__(self, store: Store, kafka: KafkaSettings, cluster_id: str, metrics: StreamMetrics) -> None:
        self._store = store
        self._kafka = kafka
        self._cluster_id = cluster_id
        self._metrics = metrics
        self.sources: dict[Partition, Source] = {}
        self.next_offset: dict[Partition, int] = {}
        self.refused: dict[Partition, str] = {}
        self.lost: dict[Partition, tuple[int, int]] = {}
        self.skipped: dict[tuple[Partition, int], Rejection] = {}

    def advance(self, partition: Partition, next_offset: int) -> None:
        """Advance an owned partition; never back, and never one that has been revoked."""
        if partition in self.next_offset:
            self.next_offset[partition] = max(next_offset, self.next_offset[partition])

    def clear(self) -> None:
        """Forget the owned partitions, which another worker may own now. Their sources stay known."""
        self.next_offset.clear()
        self.refused.clear()
        self.lost.clear()
        self.skipped.clear()
        self._metrics.refused.set(0)

    async def load(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Read where partitions continue, waiting for ClickHouse and Kafka as long as it takes.

        Returns:
            The next offset of each partition that may be processed. Partitions whose log ends before the recorded
            progress are refused: the topic must have been recreated.
        """
        wanted = [Partition(*partition) for partition in partitions]
        if not wanted:
            return {}
        sources, recorded, ranges = await retry_while_unavailable(lambda: self._look_up(wanted), "positions")
        skips = await retry_while_unavailable(
            lambda: asyncio.to_thread(read_skips, self._store, [source.name for source in sources.values()]), "skips"
        )
        by_name = {source.name: partition for partition, source in sources.items()}
        for (name, offset), reason in skips.items():
            detail = f"An operator had it skipped: {reason}"
            self.skipped[by_name[name], offset] = Rejection(RejectionCode.SKIPPED, detail)
        for partition in wanted:
            self._set_start(partition, sources[partition], recorded.get(sources[partition].name), ranges[partition])
        self._metrics.refused.set(len(self.refused))
        return {p: self.next_offset[p] for p in wanted if p in self.next_offset}

    async def _look_up(
        self, partitions: list[Partition]
    ) -> tuple[dict[Partition, Source], dict[str, int], dict[tuple[str, int], LogRange]]:
        generations = {
            topic: await asyncio.to_thread(read_generation, self._store, self._cluster_id, topic)
            for topic in {p.topic for p in partitions}
        }
        sources = {p: name_source(self._cluster_id, *p, generations[p.topic]) for p in partitions}
        recorded = await asyncio.to_thread(read_progress, self._store, [s.name for s in sources.values()])
        async with open_log(self._kafka) as reader:
            return sources, recorded, await reader.fetch_ranges(partitions)

    def _set_start(self, partition: Partition, source: Source, recorded: int | None, held: LogRange) -> None:
        self.sources[partition] = source
        self.refused.pop(partition, None)
        if recorded is not None and held.end < recorded:
            self.next_offset.pop(partition, None)
            self.refused[partition] = (
                f"the log of {source.name} ends at {held.end}, but {recorded} messages of it were applied: was the "
                f"topic recreated? If so, run `rapport topic recreated {partition.topic}` and restart the workers; "
                "the new log then counts on top of the old one"
            )
            log.error("partition refused", partition=partition.partition, reason=self.refused[partition])
            return
        start = recorded or 0
        if held.begin > start:
            self.lost[partition] = (start, held.begin)
            start = held.begin
        self.next_offset[partition] = start
