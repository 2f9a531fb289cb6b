"""Application of batches in a pipeline of two: one is prepared while the one before it is committed."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

import structlog

from pipeline.commit import CommitResult, Committer
from pipeline.isolation import EXTERNAL_ERRORS, Isolation, StaleBatchError
from pipeline.prepare import PreparedBatch, Preparer
from pipeline.privacy import OutdatedBatchError
from pipeline.repairs import repair_own_sources
from pipeline.retries import retry_while_unavailable
from rapport.domain.rejections import RejectionCode
from rapport.storage import stream
from rapport.storage.stream import DeadLetter

if TYPE_CHECKING:
    from pipeline.batch import Batch, Partition
    from pipeline.faults import Step
    from pipeline.positions import Positions
    from rapport.kafka.sources import Source
    from rapport.metrics import StreamMetrics
    from rapport.storage.client import Store

log = structlog.get_logger(__name__)
T = TypeVar("T")
REWIND_DELAY_S = 0.05
"""Pause before partitions are read again: another source's decision, or a missing message, is due within a moment."""


class Applier:
    """Applier of batches: prepares them, commits them in order, and retries or rereads what could not be committed.

    Args:
        is_stale: Returns whether the group has rebalanced since a batch was fetched.
        rewind: Reads partitions again from given offsets.
        on_committed: Called with every batch that has been recorded; must return at once.
        on_step: Called after each step of a batch.

    Attributes:
        is_preparing: Whether a batch is being prepared, or waits for the one before; the next one may still grow.
    """

    def __init__(
        self,
        store: Store,
        positions: Positions,
        metrics: StreamMetrics,
        preparer: Preparer,
        committer: Committer,
        is_stale: Callable[[Batch], bool],
        rewind: Callable[[Mapping[Partition, int]], Awaitable[None]],
        on_committed: Callable[[PreparedBatch, CommitResult], None] = lambda _prepared, _committed: None,
        on_step: Callable[[Step], None] = lambda _step: None,
    ) -> None:
        self._store = store
        self._positions = positions
        self._metrics = metrics
        self._preparer = preparer
        self._committer = committer
        self._is_stale = is_stale
        self._rewind = rewind
        self._on_committed = on_committed
        self._committing: asyncio.Task[None] | None = None
        self.is_preparing = False
        self._last_active_at = time.monotonic()
        self._lock = asyncio.Lock()
        self._isolation = Isolation(positions, preparer.set_aside, on_step)

    @property
    def last_committed_at(self) -> float | None:
        """Time at which the last batch was complete, Unix seconds."""
        return self._committer.last_committed_at

    @property
    def is_idle(self) -> bool:
        """Whether no batch is being prepared or committed."""
        return not self.is_preparing and (self._committing is None or self._committing.done())

    @property
    def idle_s(self) -> float:
        """Seconds without a batch fetched or committed; 0 while one is in progress."""
        return time.monotonic() - self._last_active_at if self.is_idle else 0.0

    async def apply(self, batch: Batch, on_error: Callable[[BaseException], None]) -> None:
        """Prepare a batch, then commit it in the background once the one before is committed.

        Waits as long as ClickHouse or Kafka is unavailable. Drops a batch of an older generation: its rows written so
        far are harmless, and none of its messages is acknowledged.

        Args:
            batch: Fetched messages.
            on_error: Called with a permanent error of the background commit.
        """
        self.is_preparing = True
        try:
            await self._load_positions(batch)
            if self._isolation.is_suspect(batch):
                await self._apply_in_parts(batch)
                return
            try:
                prepared = await self._until_it_works(batch, lambda: self._preparer.prepare(batch))
            except EXTERNAL_ERRORS:
                raise
            except Exception as error:  # noqa: BLE001 - a message of the batch causes it, whatever it is
                self._isolation.suspect(batch, error)
                await self._apply_in_parts(batch)
                return
            await self.settle()
        except StaleBatchError:
            self.give_up_prepared()
            return
        finally:
            self.is_preparing = False
            self._last_active_at = time.monotonic()
        self._committing = asyncio.create_task(self._commit_or_suspect(batch, prepared))
        self._committing.add_done_callback(lambda task: _report(task, on_error))

    async def settle(self) -> None:
        """Wait until the batch being committed is done, whether it succeeds or fails."""
        if self._committing is not None:
            await asyncio.wait({self._committing})

    def give_up_prepared(self) -> None:
        """Discard prepared batches: their messages are read again."""
        self._preparer.ahead.clear()

    def begin_assignment(self) -> None:
        """Begin with the partitions assigned: discard what is known of those before."""
        self.give_up_prepared()
        self._committer.forget_blocks()

    async def repair(self) -> None:
        """Run the pending repairs of this worker's partitions while no batch is being committed.

        Raises:
            StorageError: ClickHouse does not answer, or refuses; the remaining repairs are retried in the next pass.
        """
        async with self._lock:
            positions = self._positions
            owned = {positions.sources[one].name: position for one, position in positions.owned.items()}
            is_changed = True
            try:
                is_changed = await repair_own_sources(self._store, owned, self._metrics) > 0
            finally:
                if is_changed:
                    self._committer.forget_blocks()

    async def _apply_in_parts(self, batch: Batch) -> None:
        await self.settle()
        await self._isolation.apply_in_parts(batch, self._apply_alone)

    async def _apply_alone(self, batch: Batch) -> None:
        """Apply a batch while no other is in progress."""
        self.give_up_prepared()
        prepared = await self._until_it_works(batch, lambda: self._preparer.prepare(batch))
        await self._commit(batch, prepared)

    async def _commit_or_suspect(self, batch: Batch, prepared: PreparedBatch) -> None:
        """Commit; if a message of the batch causes an error, have the batch read again and applied in parts."""
        try:
            await self._commit(batch, prepared)
        except EXTERNAL_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._isolation.suspect(batch, error)
            await self._read_again(batch, self._find_starts(prepared))

    async def _commit(self, batch: Batch, prepared: PreparedBatch) -> None:
        async with self._lock:
            if self._is_stale(batch) or not self._committer.is_next(prepared):
                self.give_up_prepared()
                committed = CommitResult(self._find_starts(prepared))
            else:
                try:
                    committed = await self._commit_or_redo(batch, prepared)
                except StaleBatchError:
                    self.give_up_prepared()
                    return
                except OutdatedBatchError:
                    log.info("a customer was erased meanwhile: reading the batch again")
                    committed = CommitResult(self._find_starts(prepared))
        self._last_active_at = time.monotonic()
        await self._read_again(batch, committed.rewind)

    async def _read_again(self, batch: Batch, starts: Mapping[Partition, int]) -> None:
        if starts:
            self.give_up_prepared()
            await asyncio.sleep(REWIND_DELAY_S)
            if not self._is_stale(batch):
                await self._rewind(starts)

    async def _commit_or_redo(self, batch: Batch, prepared: PreparedBatch) -> CommitResult:
        async def commit() -> CommitResult:
            await self._preparer.renew_claims(prepared)
            try:
                committed = await self._committer.commit(prepared)
            except Exception:
                prepared.claimed = -math.inf  # others may have decided meanwhile
                raise
            self._on_committed(prepared, committed)
            return committed

        return await self._until_it_works(batch, commit)

    def _find_starts(self, prepared: PreparedBatch) -> dict[Partition, int]:
        owned = self._positions.next_offset
        return {p: owned[p] for p in [*prepared.slices, *prepared.rewind] if p in owned}

    async def _until_it_works(self, batch: Batch, action: Callable[[], Awaitable[T]]) -> T:
        def check() -> None:
            self._metrics.retries.inc()
            if self._is_stale(batch):
                raise StaleBatchError

        if self._is_stale(batch):
            raise StaleBatchError
        return await retry_while_unavailable(action, "batch", on_retry=check)

    async def _load_positions(self, batch: Batch) -> None:
        positions = self._positions
        unknown = [p for p in batch.slices if p not in positions.next_offset and p not in positions.refused]
        if unknown:  # the seek after the rebalance was cut short
            await positions.load(unknown)
        for partition, (first, until) in list(positions.lost.items()):
            source = positions.sources[partition]
            self._metrics.lost.inc(until - first)
            log.error("retention deleted messages before they were read", source=source.name, first=first, until=until)
            await self._record_lost(source, first, until)
            positions.lost.pop(partition, None)

    async def _record_lost(self, source: Source, first: int, until: int) -> None:
        letter = DeadLetter(
            tenant_id="",
            code=RejectionCode.LOST_TO_RETENTION.value,
            detail=f"Offsets {first} to {until - 1} were deleted by the topic's retention before they were read.",
            cluster_id=source.cluster_id,
            topic=source.topic,
            partition=source.partition,
            source=source.name,
            offset=first,
            item=0,
            key=b"",
            value=b"",
            received_at_ms=int(time.time() * 1000),
        )

        async def write() -> None:
            await asyncio.to_thread(stream.write_dead_letters, self._store, [letter])

        await retry_while_unavailable(write, "lost range")


def _report(task: asyncio.Task[None], on_error: Callable[[BaseException], None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        on_error(error)
