"""The lean consumer: Faust's group membership, without its four tasks and five objects a message.

Faust's own path hands each message through ``Consumer.wait_first`` (four tasks), the conductor, a channel and an event;
that costs about 65 µs. This consumer collects the fetcher's records into a :class:`pipeline.batch.Batch` and puts it
into a channel that the agent reads. Groups, heartbeats, rebalances and commits stay Faust's. With
``RAPPORT_WORKER_CONSUMER=stock`` messages take Faust's path; start positions and commits are the same for both.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from pipeline.batch import Batch, Partition, Record
from rapport.kafka.decompression import limit_decompression

if TYPE_CHECKING:
    from mode import ServiceT

    from pipeline.state import StreamState

log = structlog.get_logger(__name__)


HAND_OVER_POLL_S = 0.002
"""Interval at which the consumer checks whether the agent can take the next batch."""
GROW_S = 0.02
"""Interval at which a batch that still grows, because the agent is busy, checks whether the agent is free."""
PROMPT_SHARE = 0.4
"""While no batch is in progress, a batch is complete at this share of its longest age: to wait on would gain nothing.
Beside a commit its preparation would slow both, so it grows for longer then.
"""
IDLE_POLL_S = 1.0
"""Interval at which the consumer checks whether it is to stop while there are no messages."""
FETCH_MAX_WAIT_MS = 50
"""Longest time the broker may hold back a fetch for more data; with the 1,500 of Faust's driver events would be late.
"""


class PromptConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's thread around aiokafka's consumer, with a shorter wait for data and commits that may fail."""

    def _create_consumer(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - Faust's own
        limit_decompression()
        consumer = super()._create_consumer(*args, **kwargs)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS  # noqa: SLF001 - the driver offers no setting
        return consumer

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit offsets; log and ignore a refusal, which would crash Faust.

        Committed offsets only inform, and the broker refuses them during a rebalance.
        """
        wanted = {
            TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(offset, "")
            for tp, offset in offsets.items()
            if tp in self.assignment()
        }
        try:
            await self._ensure_consumer().commit(wanted)
        except (KafkaError, IllegalStateError) as error:
            log.info("offsets were not committed; the recorded progress is what counts", error=str(error))
            return False
        return True


class ProgressConsumer(driver.Consumer):
    """Consumer that starts at the recorded progress and commits it; Kafka's committed offsets only inform."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Faust's own
        super().__init__(*args, **kwargs)
        self._collecting: Batch | None = None
        self._left_over: dict[Partition, Sequence[Record]] = {}
        self._dropped: set[Partition] = set()

    def _new_consumer_thread(self) -> PromptConsumerThread:
        return PromptConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def stream(self) -> StreamState:
        """State that is shared with the application."""
        return cast("StreamState", cast("Any", self.app).shared)

    async def perform_seek(self) -> None:
        """Seek every assigned partition to its recorded progress. Called by Faust once a rebalance is over."""
        assigned = [Partition(*tp) for tp in self.assignment() if tp.topic == self.stream.topic_name]
        self._collecting = None
        self._left_over.clear()
        self.stream.positions.clear()
        self.stream.applier.begin_assignment()
        starts = await self.stream.positions.load(assigned)
        refused = {TP(*partition) for partition in self.stream.positions.refused}
        if refused:
            self.pause_partitions(refused)
        await self.rewind(starts)

    async def rewind(self, starts: Mapping[Partition, int]) -> None:
        """Read partitions again from given offsets; messages collected of them are dropped."""
        wanted = {TP(*partition): offset for partition, offset in starts.items()}
        if not wanted:
            return
        self._forget(starts)
        await self._thread.seek_wait(wanted)
        self._forget(starts)  # a fetch may have come in before the seek
        for tp, offset in wanted.items():
            self._read_offset[tp] = offset or None
            self._committed_offset[tp] = offset

    def count_behind(self) -> dict[Partition, int]:
        """Count the messages of each owned partition that the broker has reported but that are not applied."""
        assigned = self.assignment()
        behind: dict[Partition, int] = {}
        for partition, offset in self.stream.positions.next_offset.items():
            end = self.highwater(TP(*partition)) if TP(*partition) in assigned else None
            if end is not None:
                behind[partition] = max(end - offset, 0)
        return behind

    def _forget(self, partitions: Mapping[Partition, int]) -> None:
        for partition in partitions:
            self._left_over.pop(partition, None)
            if self._collecting is not None:
                self._collecting.slices.pop(partition, None)

    async def force_commit(self, topics: object = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002
        """Commit the recorded progress, for lag monitors; no worker starts from it."""
        assigned = self.assignment()
        offsets = {
            TP(*partition): offset
            for partition, offset in self.stream.positions.next_offset.items()
            if TP(*partition) in assigned and offset != self._committed_offset[TP(*partition)]
        }
        return await self._commit_offsets(offsets) if offsets else False

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        if self.stream.settings.worker.consumer == "stock":
            await super()._drain_messages(fetcher)
            return
        try:
            while not (self.should_stop or fetcher.should_stop):
                await self._reread_dropped()
                batch = await self._collect(fetcher)
                if batch is not None and batch.slices:
                    await self._hand_over(batch)
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise

    async def _hand_over(self, batch: Batch) -> None:
        """Give a batch to the agent once it has taken the one before; drop it if the flow stops meanwhile.

        Polls instead of waiting on the channel: Faust cancels such waits when it rebalances, and then the fetcher dies.
        """
        while self.flow_active and not self.stream.is_ready_for_batch:
            await asyncio.sleep(HAND_OVER_POLL_S)
            if self.should_stop:
                return
        if self.flow_active and batch.generation == self.app.consumer_generation_id:
            await self.stream.batches.put(batch)
        else:
            self._dropped |= batch.slices.keys()

    async def _reread_dropped(self) -> None:
        """Seek partitions back to the first fetched message that was dropped."""
        if self._dropped and self.flow_active:
            dropped, self._dropped = self._dropped, set()
            owned = self.stream.positions.next_offset
            await self.rewind({partition: owned[partition] for partition in dropped if partition in owned})

    async def _collect(self, fetcher: ServiceT) -> Batch | None:
        """Gather messages until the batch is full or old enough; None if the flow stopped meanwhile."""
        limits = self.stream.settings.worker
        generation = self.app.consumer_generation_id
        batch = self._collecting = Batch(generation, limits.batch_max_events, limits.batch_max_bytes)
        self._left_over = batch.take(self._left_over)
        began_at = time.monotonic() if batch.slices else None
        while not (self.should_stop or fetcher.should_stop):
            timeout = IDLE_POLL_S if began_at is None else self._count_down(began_at)
            if timeout <= 0 or batch.is_full:
                return batch
            records, active = await self._wait_next_records(timeout)
            has_moved_on = not self.flow_active or self.app.consumer_generation_id != generation
            if has_moved_on or self._collecting is not batch:
                # What was fetched belongs to an older assignment, or to one whose seek came before this fetch.
                self._dropped |= batch.slices.keys() | {Partition(tp.topic, tp.partition) for tp in records or ()}
                return None
            fetched = {
                Partition(tp.topic, tp.partition): r for tp, r in (records or {}).items() if tp in (active or ())
            }
            self._left_over = batch.take(fetched)
            if began_at is None and batch.slices:
                began_at = time.monotonic()
        return None

    def _count_down(self, began_at: float) -> float:
        """Return for how many seconds a batch may grow before this is to be asked again; none if it is complete."""
        applier, longest_s = self.stream.applier, self.stream.settings.worker.batch_max_age_ms / 1000
        age_s = time.monotonic() - began_at
        if applier.is_idle:
            return longest_s * PROMPT_SHARE - age_s
        left_s = longest_s - age_s
        return max(left_s, GROW_S) if applier.is_preparing else min(left_s, GROW_S)


class ProgressTransport(driver.Transport):
    """Faust's Kafka transport with :class:`ProgressConsumer`."""

    Consumer = ProgressConsumer
