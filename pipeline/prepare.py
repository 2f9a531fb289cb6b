"""The first half of a batch: continue, decode, claim, read. Runs while the batch before it is being committed.

Nothing here decides anything that the batch before could change: claims are written before they are read, and the rows
that the batch before is writing are laid over what was read (:mod:`pipeline.commit`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from pipeline.continuity import continue_from
from pipeline.decode import Decoded, decode_batch
from pipeline.faults import Step
from pipeline.fold import contacts_of, period_keys_of
from rapport.storage import stream

if TYPE_CHECKING:
    from pipeline.batch import Batch, Partition, Record
    from pipeline.positions import Positions
    from pipeline.privacy import Privacy
    from pipeline.tenant_cache import Directory
    from rapport.domain.rejections import Rejection
    from rapport.metrics import StreamMetrics
    from rapport.settings import Settings
    from rapport.storage.client import Store


@dataclass(slots=True)
class Prepared:
    """A batch that is ready to be committed.

    Attributes:
        slices: The messages, by partition; they continue the batch before.
        starts: From where each partition continues; below its first message where the log itself has a hole.
        rewind: Partitions of which messages are missing, and from which offset to read again.
        decoded: Events, decisions and dead letters.
        claims: What others claimed of the events' keys.
        state: The summary rows concerned, as they were when read.
        epoch: When the state was read; see :class:`pipeline.applier.Applier`.
        started: When work on it began, by the performance counter.
        started_ms: The same in epoch milliseconds.
        privacy_revision: What was known of erased customers when it was decoded; see :class:`pipeline.privacy.Privacy`.
        claimed: When its keys were claimed, by the performance counter.
    """

    slices: Mapping[Partition, Sequence[Record]]
    starts: Mapping[Partition, int]
    rewind: dict[Partition, int]
    decoded: Decoded
    claims: pl.DataFrame = field(default_factory=pl.DataFrame)
    state: pl.DataFrame = field(default_factory=pl.DataFrame)
    epoch: int = 0
    started: float = 0.0
    started_ms: int = 0
    privacy_revision: int = 0
    claimed: float = 0.0


class Preparer:
    """Prepares batches, one at a time.

    Attributes:
        ahead: Where each partition continues once everything that was prepared is committed. Cleared whenever a
            prepared batch is given up.
        set_aside: Why some messages, by partition and offset, become dead letters unread: they cause an error. Known
            to this process only; the next owner of a partition finds out anew.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        positions: Positions,
        directory: Directory,
        privacy: Privacy,
        metrics: StreamMetrics,
        reach: Callable[[Step], None],
    ) -> None:
        self._settings = settings
        self._store = store
        self._positions = positions
        self._directory = directory
        self._privacy = privacy
        self._metrics = metrics
        self._reach = reach
        self.ahead: dict[Partition, int] = {}
        self.set_aside: dict[tuple[Partition, int], Rejection] = {}

    async def prepare(self, batch: Batch, epoch: int) -> Prepared:
        """Do everything for a batch that needs nothing of the batch before.

        Raises:
            TransientStorageError: ClickHouse is away; the call may be repeated.
            KafkaError: The log had to be asked and does not answer; likewise.
        """
        started, started_ms = time.perf_counter(), time.time_ns() // 1_000_000
        self._reach(Step.FETCHED)
        owned = self._positions.next_offset
        expected = {p: max(offset, self.ahead.get(p, offset)) for p, offset in owned.items()}
        continued = await continue_from(batch.slices, expected, self._settings.kafka)
        self._metrics.holes.inc(len(continued.rewind))
        decoded = await asyncio.to_thread(self._decode, continued.slices)
        self._reach(Step.DECODED)
        decoded, revision = await asyncio.to_thread(self._privacy.keep_out, decoded)
        starts = {partition: expected[partition] for partition in continued.slices}
        prepared = Prepared(
            continued.slices,
            starts,
            continued.rewind,
            decoded,
            epoch=epoch,
            started=started,
            started_ms=started_ms,
            privacy_revision=revision,
        )
        if not decoded.events.is_empty():
            _, prepared.state = await asyncio.gather(self.claim(prepared), self.read_state(decoded.events))
        self._reach(Step.READ)
        self.ahead.update({p: records[-1].offset + 1 for p, records in continued.slices.items()})
        return prepared

    async def read_state(self, events: pl.DataFrame) -> pl.DataFrame:
        """Read the summary rows that some events may change."""
        contacts = contacts_of(events)
        if contacts.is_empty():
            return pl.DataFrame()
        periods = period_keys_of(contacts["local_date"].unique())["period_key"].unique()
        return await asyncio.to_thread(stream.read_summary_state, self._store, contacts, periods)

    def _decode(self, slices: Mapping[Partition, Sequence[Record]]) -> Decoded:
        self._directory.refresh()
        set_aside = {**self.set_aside, **self._positions.skipped}
        return decode_batch(slices, self._positions.sources, self._directory, set_aside)

    async def renew_claims(self, prepared: Prepared) -> None:
        """Claim once more what was claimed so long ago that others will take it for abandoned.

        Raises:
            OutdatedBatchError: The batch must be read again.
        """
        age_s = time.perf_counter() - prepared.claimed
        if age_s > self._settings.worker.claim_timeout_s / 2 and not prepared.decoded.events.is_empty():
            await asyncio.to_thread(self._privacy.check, prepared.decoded, prepared.privacy_revision)
            await self.claim(prepared)

    async def claim(self, prepared: Prepared) -> None:
        """Claim the events' keys, and only then read who else has claimed them. May be repeated."""
        prepared.claimed = time.perf_counter()
        prepared.claims = await asyncio.to_thread(self._claim, prepared.starts, prepared.decoded.events)

    def _claim(self, starts: Mapping[Partition, int], events: pl.DataFrame) -> pl.DataFrame:
        stream.write_claims(self._store, events)
        self._reach(Step.CLAIMED)
        first_offsets = {self._positions.sources[p].name: start for p, start in starts.items()}
        return stream.read_claims(self._store, events, first_offsets)
