"""First half of a batch: continue, decode, claim. Runs while the batch before it is being committed.

Nothing here decides anything that the batch before could change: claims are written before they are read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

from pipeline.batch import pass_records
from pipeline.claimed_keys import ClaimedKeys
from pipeline.continuity import continue_from
from pipeline.decode import DecodedBatch, decode_batch
from pipeline.faults import Step
from rapport.domain.blocks import BlockStart
from rapport.storage import stream

if TYPE_CHECKING:
    from pipeline.batch import Batch, Partition, Record
    from pipeline.positions import Positions
    from pipeline.privacy import PrivacyFilter
    from pipeline.tenant_cache import TenantCache
    from rapport.domain.blocks import LogPosition
    from rapport.domain.rejections import Rejection
    from rapport.metrics import StreamMetrics
    from rapport.settings import Settings
    from rapport.storage.client import Store


@dataclass(slots=True)
class PreparedBatch:
    """A batch that is ready to be committed.

    Attributes:
        slices: The messages, by partition; they continue the batch before.
        starts: The position each partition continues from; below its first message where the log itself has a hole.
        ends: The position after its last message.
        rewind: Partitions of which messages are missing, and from which offset to read again.
        decoded: Events, with their ``block``, decisions and dead letters.
        claims: Other claims of the events' keys.
        started: Start of the preparation, by the performance counter.
        started_ms: The same in epoch milliseconds.
        privacy_revision: Revision of the tombstones it was decoded with; see :class:`pipeline.privacy.PrivacyFilter`.
        claimed: Time at which its keys were claimed, by the performance counter.
    """

    slices: Mapping[Partition, Sequence[Record]]
    starts: Mapping[Partition, LogPosition]
    ends: Mapping[Partition, LogPosition]
    rewind: dict[Partition, int]
    decoded: DecodedBatch
    claims: pl.DataFrame = field(default_factory=pl.DataFrame)
    started: float = 0.0
    started_ms: int = 0
    privacy_revision: int = 0
    claimed: float = 0.0


class Preparer:
    """Preparer of batches, one at a time.

    Args:
        on_step: Called after each step.

    Attributes:
        ahead: The position where each partition continues once every prepared batch is committed. Cleared whenever a
            prepared batch is discarded.
        set_aside: Messages, by partition and offset, that cause an error and become dead letters without being decoded,
            with the reason. Known to this process only; the next owner of a partition isolates them anew.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        positions: Positions,
        tenant_cache: TenantCache,
        privacy: PrivacyFilter,
        metrics: StreamMetrics,
        on_step: Callable[[Step], None],
    ) -> None:
        self._settings = settings
        self._store = store
        self._positions = positions
        self._tenant_cache = tenant_cache
        self._privacy = privacy
        self._metrics = metrics
        self._claimed_keys = ClaimedKeys(settings.worker, store, metrics)
        self._on_step = on_step
        self.ahead: dict[Partition, LogPosition] = {}
        self.set_aside: dict[tuple[Partition, int], Rejection] = {}

    async def prepare(self, batch: Batch) -> PreparedBatch:
        """Prepare a batch: every step that does not depend on the batch before.

        Raises:
            TransientStorageError: ClickHouse is unavailable; the call may be repeated.
            KafkaError: The log was queried for a gap and does not answer; likewise.
        """
        started, started_ms = time.perf_counter(), time.time_ns() // 1_000_000
        self._on_step(Step.FETCHED)
        owned = self._positions.owned
        expected = {p: max(position, self.ahead.get(p, position)) for p, position in owned.items()}
        offsets = {partition: position.next_offset for partition, position in expected.items()}
        continued = await continue_from(batch.slices, offsets, self._settings.kafka)
        self._metrics.holes.inc(len(continued.rewind))
        starts = {partition: expected[partition] for partition in continued.slices}
        with self._metrics.time_part("decode"):
            decoded, ends = await asyncio.to_thread(self._decode, continued.slices, starts)
        self._on_step(Step.DECODED)
        decoded, revision = await asyncio.to_thread(self._privacy.filter_batch, decoded)
        prepared = PreparedBatch(
            continued.slices,
            starts,
            ends,
            continued.rewind,
            decoded,
            started=started,
            started_ms=started_ms,
            privacy_revision=revision,
        )
        if not decoded.events.is_empty():
            await self.claim(prepared)
        self._on_step(Step.READ)
        self.ahead.update(ends)
        return prepared

    def _decode(
        self, slices: Mapping[Partition, Sequence[Record]], starts: Mapping[Partition, LogPosition]
    ) -> tuple[DecodedBatch, dict[Partition, LogPosition]]:
        """Decode messages; return the batch and the position after it, by partition."""
        self._tenant_cache.refresh()
        set_aside = {**self.set_aside, **self._positions.skipped}
        decoded = decode_batch(slices, self._positions.sources, self._tenant_cache, set_aside)
        ends: dict[Partition, LogPosition] = {}
        blocks: dict[str, Sequence[BlockStart]] = {}
        for partition, records in slices.items():
            start = starts[partition]
            ends[partition], begun = pass_records(start, records, self._settings.worker.block_events)
            blocks[self._positions.sources[partition].name] = (BlockStart(0, start.place.block), *begun)
        return replace(decoded, events=add_blocks(decoded.events, blocks)), ends

    async def renew_claims(self, prepared: PreparedBatch) -> None:
        """Claim the keys again if the claims are so old that other workers may soon take them for abandoned.

        Raises:
            OutdatedBatchError: The batch must be read again.
        """
        age_s = time.perf_counter() - prepared.claimed
        if age_s > self._settings.worker.claim_timeout_s / 2 and not prepared.decoded.events.is_empty():
            await asyncio.to_thread(self._privacy.check, prepared.decoded, prepared.privacy_revision)
            await self.claim(prepared)

    async def claim(self, prepared: PreparedBatch) -> None:
        """Claim the events' keys, and only then read the other claims of them. May be repeated."""
        prepared.claimed = time.perf_counter()
        with self._metrics.time_part("claims"):
            prepared.claims = await asyncio.to_thread(self._claim, prepared.starts, prepared.decoded.events)

    def _claim(self, starts: Mapping[Partition, LogPosition], events: pl.DataFrame) -> pl.DataFrame:
        self._claimed_keys.load()
        stream.write_claims(self._store, events)
        self._on_step(Step.CLAIMED)
        doubtful = self._claimed_keys.select_doubtful(events)
        first_offsets = {self._positions.sources[p].name: start.next_offset for p, start in starts.items()}
        return stream.read_claims(self._store, doubtful, first_offsets)


def add_blocks(events: pl.DataFrame, starts: Mapping[str, Sequence[BlockStart]]) -> pl.DataFrame:
    """Add the column ``block`` to decoded events.

    Args:
        events: With columns source and offset.
        starts: Starts of blocks by source, ascending; the first is at or before the source's first event.
    """
    block: pl.Expr = pl.lit(0, pl.UInt32)
    for source, begun in starts.items():
        for start in begun:
            is_in = (pl.col("source") == source) & (pl.col("offset") >= start.offset)
            block = pl.when(is_in).then(pl.lit(start.block, pl.UInt32)).otherwise(block)
    return events.with_columns(block=block)
