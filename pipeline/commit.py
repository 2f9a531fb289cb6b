"""Second half of a batch: decide, fold, write, record the progress. One batch at a time, in order.

The order of the writes is the guarantee. Interactions are written before the summaries that count them, then the batch
is offered to the customer states, and the progress is written last; the next batch starts at the recorded progress. A
crash anywhere leaves rows that the next owner of the partition computes again, to the same values, because each is a
function of the partition's log alone.
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

from pipeline.batch import AppliedRange, pass_records
from pipeline.dead_letters import make_conflict_letters
from pipeline.dedup import Resolution, StoredClaims, resolve
from pipeline.faults import Step
from pipeline.fold import FoldedBatch, count_days, fold_batch, select_contacts
from pipeline.open_blocks import OpenBlocks, OpenDays
from rapport.domain.blocks import LogPosition
from rapport.storage import stream
from rapport.storage.stream import DeadLetter, Progress

if TYPE_CHECKING:
    from pipeline.batch import Partition, Record
    from pipeline.customer_states import StateWriter
    from pipeline.positions import Positions
    from pipeline.prepare import PreparedBatch
    from pipeline.privacy import PrivacyFilter
    from rapport.metrics import StreamMetrics
    from rapport.settings import Settings
    from rapport.storage.client import Store

log = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(slots=True)
class CommitResult:
    """Result of committing a batch.

    Attributes:
        rewind: Partitions to read again, from which offset: messages were missing, or an event must wait.
        progress: Recorded progress, by partition.
        resolution: Which events count.
        dead_letters: Messages and items that were not accepted.
    """

    rewind: dict[Partition, int]
    progress: dict[Partition, Progress] = field(default_factory=dict)
    resolution: Resolution = field(default_factory=lambda: Resolution(pl.DataFrame()))
    dead_letters: list[DeadLetter] = field(default_factory=list)


class Committer:
    """Committer of prepared batches.

    Args:
        on_step: Called after each step.
        send_dead_letters: Puts letters on the dead-letter topic and returns when Kafka has them.
        states: Offers batches to the customer states.

    Attributes:
        last_committed_at: When the last batch was complete, Unix seconds; None before the first.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        positions: Positions,
        privacy: PrivacyFilter,
        metrics: StreamMetrics,
        on_step: Callable[[Step], None],
        send_dead_letters: Callable[[Sequence[DeadLetter]], Awaitable[None]],
        states: StateWriter | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._positions = positions
        self._privacy = privacy
        self._metrics = metrics
        self._states = states
        self._open_blocks = OpenBlocks(store)
        self._on_step = on_step
        self._send_dead_letters = send_dead_letters
        self._worker_name = f"{socket.gethostname()}:{os.getpid()}"
        self.last_committed_at: float | None = None

    def is_next(self, prepared: PreparedBatch) -> bool:
        """Return whether a batch still continues the recorded progress.

        It does not if the batch before was cut or discarded.
        """
        owned = self._positions.next_offset
        return all(owned.get(partition) == start.next_offset for partition, start in prepared.starts.items())

    def forget_blocks(self) -> None:
        """Forget what the open blocks count: the next batch reads it from the history."""
        self._open_blocks.forget()

    async def commit(self, prepared: PreparedBatch) -> CommitResult:
        """Write a batch for which :meth:`is_next` holds.

        Raises:
            TransientStorageError: ClickHouse is unavailable; the batch may be prepared and committed again.
            KafkaError: The dead-letter topic does not answer; likewise.
            TerminalStorageError: ClickHouse refuses permanently. Nothing is acknowledged.
            OutdatedBatchError: The batch must be read again.
        """
        await self._check_privacy(prepared)
        time_part = self._metrics.time_part
        with time_part("decide"):
            resolution = await asyncio.to_thread(self._decide, prepared)
        with time_part("fold"):
            before, folded = await asyncio.to_thread(self._fold, prepared, resolution)
        self._on_step(Step.FOLDED)
        committed = CommitResult(dict(prepared.rewind), resolution=resolution)
        committed.dead_letters = await asyncio.to_thread(self._collect_letters, prepared, resolution)
        committed.progress = self._make_progress(prepared, resolution)
        await self._check_privacy(prepared)
        with time_part("dead_letters"):
            if committed.dead_letters:
                await self._call(stream.write_dead_letters, committed.dead_letters)
                await self._send_dead_letters(committed.dead_letters)
            if not resolution.losers.is_empty():  # after the letters: a loser is not decided on again
                await self._call(stream.write_claims, resolution.losers, has_yielded=True)
        self._on_step(Step.DEAD_LETTERS)
        await self._check_privacy(prepared)
        with time_part("history"):
            await self._call(stream.write_interactions, resolution.accepted)
            await self._call(stream.write_decisions, _drop_waiting(prepared.decoded.decisions, resolution.waiting))
        self._on_step(Step.INTERACTIONS)
        await self._check_privacy(prepared)
        with time_part("summaries"):
            await self._call(stream.write_summaries, folded.rows)
        self._metrics.summary_rows.inc(folded.rows.height)
        self._on_step(Step.SUMMARIES)
        if self._states is not None:
            ranges = list_ranges(prepared, committed)
            with time_part("states"):
                await self._states.offer(
                    folded.rows, resolution.accepted, ranges, lambda: self._check_privacy(prepared)
                )
        self._on_step(Step.STATES)
        with time_part("progress"):
            await self._call(stream.write_progress, list(committed.progress.values()))
        self._on_step(Step.PROGRESS)
        reached = {one.source: one.position for one in committed.progress.values()}
        self._open_blocks.keep(reached, OpenDays(folded.days, before.revision))
        self._finish(prepared, committed)
        return committed

    def _decide(self, prepared: PreparedBatch) -> Resolution:
        """Decide which events count."""
        worker = self._settings.worker
        others = StoredClaims(
            self._drop_erased(prepared.claims),
            read_again=lambda disputed: self._drop_erased(stream.read_all_claims(self._store, disputed)),
            progress=lambda sources: stream.read_progress(self._store, sorted(sources)),
            accepted=lambda disputed: stream.read_accepted(self._store, disputed),
        )
        return resolve(
            prepared.decoded.events,
            others,
            horizon_ms=worker.dedup_horizon_hours * 3_600_000,
            claim_timeout_s=worker.claim_timeout_s,
        )

    def _fold(self, prepared: PreparedBatch, resolution: Resolution) -> tuple[OpenDays, FoldedBatch]:
        """Return what the open blocks count before the batch, and what it changes."""
        contacts = select_contacts(resolution.accepted)
        starts = {self._positions.sources[p].name: start for p, start in prepared.starts.items()}
        before = self._open_blocks.find(starts, self._privacy.revision)
        days = before.days
        erased = self._privacy.find_unsettled(contacts, prepared.started_ms)
        if not erased.is_empty():  # what is kept may count erased events
            remaining = count_days(stream.read_block_contacts(self._store, starts, erased))
            days = pl.concat([days.join(erased, on=["tenant_id", "customer_id"], how="anti"), remaining])
        return before, fold_batch(days, contacts)

    def _drop_erased(self, claims: pl.DataFrame) -> pl.DataFrame:
        """Drop erased claims: they do not count, whether or not they have been deleted yet."""
        return self._privacy.drop_erased(claims) if claims.width else claims

    async def _check_privacy(self, prepared: PreparedBatch) -> None:
        """Check that the batch may still be written as it was decoded; see :mod:`pipeline.privacy`."""
        await asyncio.to_thread(self._privacy.check, prepared.decoded, prepared.privacy_revision)

    def _collect_letters(self, prepared: PreparedBatch, resolution: Resolution) -> list[DeadLetter]:
        """Return the dead letters up to the first waiting event, with those of conflicting events."""
        waiting = resolution.waiting
        letters = [d for d in prepared.decoded.dead_letters if d.offset < waiting.get(d.source, d.offset + 1)]
        by_source = {self._positions.sources[p]: records for p, records in prepared.slices.items()}
        return letters + self._privacy.filter_letters(
            make_conflict_letters(resolution.conflicts, by_source, prepared.decoded.items)
        )

    def _make_progress(self, prepared: PreparedBatch, resolution: Resolution) -> dict[Partition, Progress]:
        accepted = resolution.accepted
        latest = dict(accepted.group_by("source").agg(pl.col("occurred_at_ms").max()).iter_rows())
        counts = dict(accepted.group_by("source").len().iter_rows())
        progress: dict[Partition, Progress] = {}
        for partition, records in prepared.slices.items():
            source = self._positions.sources[partition]
            done = _select_before(records, resolution.waiting.get(source.name))
            if not done:
                continue
            received_at_ms = max(done[-1].timestamp, 0)
            reached = prepared.ends[partition]
            if source.name in resolution.waiting:
                passed, _ = pass_records(prepared.starts[partition], done, self._settings.worker.block_events)
                reached = LogPosition(resolution.waiting[source.name], passed.place)
            progress[partition] = Progress(
                source=source.name,
                cluster_id=source.cluster_id,
                topic=source.topic,
                partition=source.partition,
                position=reached,
                last_occurred_at_ms=latest.get(source.name, received_at_ms),
                last_received_at_ms=received_at_ms,
                batch_messages=len(done),
                batch_events=counts.get(source.name, 0),
                worker=self._worker_name,
            )
        return progress

    def _finish(self, prepared: PreparedBatch, committed: CommitResult) -> None:
        """Advance the positions in memory and update the metrics, now that everything is in the tables."""
        for partition, reached in committed.progress.items():
            self._positions.advance(partition, reached.position)
        waiting = committed.resolution.waiting
        for partition in prepared.slices:
            offset = waiting.get(self._positions.sources[partition].name)
            if offset is not None:
                committed.rewind[partition] = min(offset, committed.rewind.get(partition, offset))
        seconds = time.perf_counter() - prepared.started
        events = committed.resolution.accepted.height
        self._on_step(Step.ACKNOWLEDGED)
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


def list_ranges(prepared: PreparedBatch, committed: CommitResult) -> list[AppliedRange]:
    """List the offsets of a batch whose events count, by source."""
    return [
        AppliedRange(reached.source, prepared.starts[partition].next_offset, reached.position.next_offset)
        for partition, reached in committed.progress.items()
    ]


def _select_before(records: Sequence[Record], waiting: int | None) -> Sequence[Record]:
    return records if waiting is None else [record for record in records if record.offset < waiting]


def _drop_waiting(rows: pl.DataFrame, waiting: Mapping[str, int]) -> pl.DataFrame:
    for source, offset in waiting.items():
        rows = rows.filter((pl.col("source") != source) | (pl.col("offset") < offset))
    return rows
