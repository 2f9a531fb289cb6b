"""Start offsets of assigned partitions. The authority is ``stream_progress``, not Kafka's committed offset."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import structlog

from pipeline.batch import Partition
from pipeline.retries import retry_while_unavailable
from rapport.domain.blocks import LogPosition, begin_blocks
from rapport.domain.rejections import Rejection, RejectionCode
from rapport.kafka.log import LogRange, open_log
from rapport.kafka.sources import Source, name_source
from rapport.storage.repairs import settle_rows_ahead
from rapport.storage.sources import read_skips
from rapport.storage.stream import RecordedPosition, read_generation, read_positions

if TYPE_CHECKING:
    from rapport.metrics import StreamMetrics
    from rapport.settings import KafkaSettings
    from rapport.storage.client import Store

log = structlog.get_logger(__name__)


class Positions:
    """Next offset of every partition this worker may apply.

    Attributes:
        sources: The logs of the assigned partitions.
        owned: Where each continues. A partition that is missing here must not be processed.
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
        self.owned: dict[Partition, LogPosition] = {}
        self.refused: dict[Partition, str] = {}
        self.lost: dict[Partition, tuple[int, int]] = {}
        self.skipped: dict[tuple[Partition, int], Rejection] = {}

    @property
    def next_offset(self) -> dict[Partition, int]:
        """Next offset of each owned partition."""
        return {partition: position.next_offset for partition, position in self.owned.items()}

    def advance(self, partition: Partition, reached: LogPosition) -> None:
        """Advance an owned partition; never back, and never one that has been revoked."""
        if partition in self.owned:
            self.owned[partition] = max(reached, self.owned[partition])

    def clear(self) -> None:
        """Forget the owned partitions, which another worker may own now. Their sources stay known."""
        self.owned.clear()
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
        await retry_while_unavailable(lambda: self._settle_rows_ahead(sources.values(), recorded), "rows ahead")
        by_name = {source.name: partition for partition, source in sources.items()}
        for (name, offset), reason in skips.items():
            detail = f"An operator had it skipped: {reason}"
            self.skipped[by_name[name], offset] = Rejection(RejectionCode.SKIPPED, detail)
        for partition in wanted:
            self._set_start(partition, sources[partition], recorded.get(sources[partition].name), ranges[partition])
        self._metrics.refused.set(len(self.refused))
        return {p: self.owned[p].next_offset for p in wanted if p in self.owned}

    async def _look_up(
        self, partitions: list[Partition]
    ) -> tuple[dict[Partition, Source], dict[str, RecordedPosition], dict[tuple[str, int], LogRange]]:
        generations = {
            topic: await asyncio.to_thread(read_generation, self._store, self._cluster_id, topic)
            for topic in {p.topic for p in partitions}
        }
        sources = {p: name_source(self._cluster_id, *p, generations[p.topic]) for p in partitions}
        recorded = await asyncio.to_thread(read_positions, self._store, [s.name for s in sources.values()])
        async with open_log(self._kafka) as reader:
            return sources, recorded, await reader.fetch_ranges(partitions)

    async def _settle_rows_ahead(self, sources: Iterable[Source], recorded: Mapping[str, RecordedPosition]) -> None:
        """Settle what a worker from before there were blocks has left, before the first block begins."""
        for source in sources:
            reached = recorded.get(source.name)
            if reached is not None and not reached.has_blocks:
                await asyncio.to_thread(settle_rows_ahead, self._store, source.name, reached.position)

    def _set_start(
        self, partition: Partition, source: Source, reached: RecordedPosition | None, held: LogRange
    ) -> None:
        self.sources[partition] = source
        self.refused.pop(partition, None)
        position = reached.position if reached else begin_blocks(0)
        recorded = position.next_offset
        if held.end < recorded:
            self.owned.pop(partition, None)
            self.refused[partition] = (
                f"the log of {source.name} ends at {held.end}, but {recorded} messages of it were applied: was the "
                f"topic recreated? If so, run `rapport topic recreated {partition.topic}` and restart the workers; "
                "the new log then counts on top of the old one"
            )
            log.error("partition refused", partition=partition.partition, reason=self.refused[partition])
            return
        if held.begin > recorded:
            self.lost[partition] = (recorded, held.begin)
        self.owned[partition] = LogPosition(max(recorded, held.begin), position.place)
