"""The second half of a batch: decide, fold, write, record the progress. One batch at a time, in order.

The order of the writes is the guarantee. Interactions are written before the summaries that count them, and the
progress last; the next batch starts at the recorded progress. A crash anywhere leaves rows that the next owner of the
partition computes again, to the same values, because each is a function of the partition's log alone.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import polars as pl
import structlog

from pipeline.dead_letters import conflict_letters
from pipeline.dedup import Others, Resolution, resolve
from pipeline.faults import Step
from pipeline.fold import contacts_of, fold_batch
from rapport.storage import stream
from rapport.storage.stream import DeadLetter, Progress
from rapport.storage.tombstones import read_state_of_erased

if TYPE_CHECKING:
    from pipeline.batch import Partition, Record
    from pipeline.positions import Positions
    from pipeline.prepare import Prepared
    from pipeline.privacy import Privacy
    from rapport.metrics import StreamMetrics
    from rapport.settings import Settings
    from rapport.storage.client import Store

log = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(slots=True)
class Committed:
    """What a batch came to.

    Attributes:
        rewind: Partitions to read again, from which offset: messages were missing, or an event must wait.
        progress: What was recorded, by partition.
        resolution: Which events counted.
        rows: The summary rows written.
        dead_letters: What did not count.
    """

    rewind: dict[Partition, int]
    progress: dict[Partition, Progress] = field(default_factory=dict)
    resolution: Resolution = field(default_factory=lambda: Resolution(pl.DataFrame()))
    rows: pl.DataFrame = field(default_factory=pl.DataFrame)
    dead_letters: list[DeadLetter] = field(default_factory=list)


class Committer:
    """Commits prepared batches.

    Args:
        send_dead_letters: Puts letters on the dead-letter topic and returns when Kafka has them.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        positions: Positions,
        privacy: Privacy,
        metrics: StreamMetrics,
        reach: Callable[[Step], None],
        send_dead_letters: Callable[[Sequence[DeadLetter]], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._store = store
        self._positions = positions
        self._privacy = privacy
        self._metrics = metrics
        self._reach = reach
        self._send_dead_letters = send_dead_letters
        self._worker_name = f"{socket.gethostname()}:{os.getpid()}"
        self.last_committed_at: float | None = None

    def is_next(self, prepared: Prepared) -> bool:
        """Whether a batch still continues the recorded progress; it does not if the one before was cut or given up."""
        owned = self._positions.next_offset
        return all(owned.get(partition) == start for partition, start in prepared.starts.items())

    async def commit(self, prepared: Prepared, just_written: pl.DataFrame) -> Committed:
        """Write a batch that :meth:`is_next`.

        Args:
            prepared: The batch.
            just_written: The summary rows of the batch before, which its state may have been read too early to hold.

        Raises:
            TransientStorageError: ClickHouse is away; the batch may be prepared and committed again.
            KafkaError: The dead-letter topic does not answer; likewise.
            TerminalStorageError: ClickHouse refuses for good. Nothing is acknowledged.
            OutdatedBatchError: The batch must be read again.
        """
        await self._check_privacy(prepared)
        resolution, rows = await asyncio.to_thread(self._decide_and_fold, prepared, just_written)
        self._reach(Step.FOLDED)
        committed = Committed(dict(prepared.rewind), resolution=resolution, rows=rows)
        committed.dead_letters = await asyncio.to_thread(self._letters, prepared, resolution)
        committed.progress = self._progress_of(prepared, resolution)
        await self._check_privacy(prepared)
        if committed.dead_letters:
            await self._call(stream.write_dead_letters, committed.dead_letters)
            await self._send_dead_letters(committed.dead_letters)
        if not resolution.yielded.is_empty():  # after the letters: who has yielded is not judged again
            await self._call(stream.write_claims, resolution.yielded, has_yielded=True)
        self._reach(Step.DEAD_LETTERS)
        await self._check_privacy(prepared)
        await self._call(stream.write_interactions, resolution.accepted)
        await self._call(stream.write_decisions, _before(prepared.decoded.decisions, resolution.waiting))
        self._reach(Step.INTERACTIONS)
        await self._check_privacy(prepared)
        await self._call(stream.write_summaries, rows)
        self._reach(Step.SUMMARIES)
        await self._call(stream.write_progress, list(committed.progress.values()))
        self._reach(Step.PROGRESS)
        self._move_on(prepared, committed)
        return committed

    def _decide_and_fold(self, prepared: Prepared, just_written: pl.DataFrame) -> tuple[Resolution, pl.DataFrame]:
        worker = self._settings.worker
        others = Others(
            self._of_living(prepared.claims),
            read_again=lambda disputed: self._of_living(stream.read_all_claims(self._store, disputed)),
            progress=lambda sources: stream.read_progress(self._store, sorted(sources)),
            accepted=lambda disputed: stream.read_accepted(self._store, disputed),
        )
        resolution = resolve(
            prepared.decoded.events,
            others,
            horizon_ms=worker.dedup_horizon_hours * 3_600_000,
            claim_timeout_s=worker.claim_timeout_s,
        )
        contacts = contacts_of(resolution.accepted)
        state = self._without_erased(stream.newest([prepared.state, just_written]), contacts, prepared)
        return resolution, fold_batch(state, contacts)

    def _of_living(self, claims: pl.DataFrame) -> pl.DataFrame:
        """Claims that were erased are as good as gone, whether or not they have been deleted yet."""
        return self._privacy.leave_out(claims) if claims.width else claims

    def _without_erased(self, state: pl.DataFrame, contacts: pl.DataFrame, prepared: Prepared) -> pl.DataFrame:
        """Replace rows that may hold what was erased by what the history says."""
        erased = self._privacy.unsettled(contacts, prepared.started_ms)
        if erased.is_empty():
            return state
        first_offsets = {self._positions.sources[p].name: start for p, start in prepared.starts.items()}
        found = [read_state_of_erased(self._store, erased, first_offsets)]
        if not state.is_empty():
            found.append(state.join(erased, on=["tenant_id", "customer_id"], how="anti"))
        return stream.newest(found)

    async def _check_privacy(self, prepared: Prepared) -> None:
        """See that the batch may still be written as it was decoded; see :mod:`pipeline.privacy`."""
        await asyncio.to_thread(self._privacy.check, prepared.decoded, prepared.privacy_revision)

    def _letters(self, prepared: Prepared, resolution: Resolution) -> list[DeadLetter]:
        """The dead letters up to where the batch goes, with the conflicts among its events."""
        waiting = resolution.waiting
        letters = [d for d in prepared.decoded.dead_letters if d.offset < waiting.get(d.source, d.offset + 1)]
        by_source = {self._positions.sources[p]: records for p, records in prepared.slices.items()}
        return letters + self._privacy.letters(
            conflict_letters(resolution.conflicts, by_source, prepared.decoded.items)
        )

    def _progress_of(self, prepared: Prepared, resolution: Resolution) -> dict[Partition, Progress]:
        accepted = resolution.accepted
        latest = dict(accepted.group_by("source").agg(pl.col("occurred_at_ms").max()).iter_rows())
        counts = dict(accepted.group_by("source").len().iter_rows())
        progress: dict[Partition, Progress] = {}
        for partition, records in prepared.slices.items():
            source = self._positions.sources[partition]
            done = _up_to(records, resolution.waiting.get(source.name))
            if not done:
                continue
            received_at_ms = max(done[-1].timestamp, 0)
            progress[partition] = Progress(
                source=source.name,
                cluster_id=source.cluster_id,
                topic=source.topic,
                partition=source.partition,
                next_offset=resolution.waiting.get(source.name, done[-1].offset + 1),
                last_occurred_at_ms=latest.get(source.name, received_at_ms),
                last_received_at_ms=received_at_ms,
                batch_messages=len(done),
                batch_events=counts.get(source.name, 0),
                worker=self._worker_name,
            )
        return progress

    def _move_on(self, prepared: Prepared, committed: Committed) -> None:
        """Advance in memory and count, now that everything is in the tables."""
        for partition, reached in committed.progress.items():
            self._positions.advance(partition, reached.next_offset)
        waiting = committed.resolution.waiting
        for partition in prepared.slices:
            offset = waiting.get(self._positions.sources[partition].name)
            if offset is not None:
                committed.rewind[partition] = min(offset, committed.rewind.get(partition, offset))
        seconds = time.perf_counter() - prepared.started
        events = committed.resolution.accepted.height
        self._reach(Step.ACKNOWLEDGED)
        self.last_committed_at = time.time()
        self._metrics.events.inc(events)
        self._metrics.batch_events.observe(events)
        self._metrics.batch_seconds.observe(seconds)
        self._metrics.duplicates.inc(committed.resolution.duplicates)
        for letter in committed.dead_letters:
            self._metrics.dead_letters.labels(letter.code).inc()
        log.info(
            "batch applied",
            messages=sum(p.batch_messages for p in committed.progress.values()),
            events=events,
            duplicates=committed.resolution.duplicates,
            dead_letters=len(committed.dead_letters),
            seconds=round(seconds, 4),
        )

    async def _call(self, function: Callable[..., T], *args: object, **options: object) -> T:
        return await asyncio.to_thread(function, self._store, *args, **options)


def _up_to(records: Sequence[Record], waiting: int | None) -> Sequence[Record]:
    return records if waiting is None else [record for record in records if record.offset < waiting]


def _before(rows: pl.DataFrame, waiting: Mapping[str, int]) -> pl.DataFrame:
    for source, offset in waiting.items():
        rows = rows.filter((pl.col("source") != source) | (pl.col("offset") < offset))
    return rows
