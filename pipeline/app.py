"""The Faust application: an agent that applies batches, and a task that runs the background jobs."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import faust
import structlog

from pipeline.applier import Applier
from pipeline.batch import AppliedRange, Batch, FetchedRecord, Partition
from pipeline.commit import Committer, list_ranges
from pipeline.consumer import ProgressConsumer, ProgressTransport
from pipeline.customer_states import StateWriter
from pipeline.dead_letter_topic import make_dead_letter_sender
from pipeline.faults import make_kill_hook
from pipeline.journey_job import JourneyJob
from pipeline.positions import Positions
from pipeline.prepare import Preparer
from pipeline.privacy import PrivacyFilter
from pipeline.state import StreamState
from pipeline.tenant_cache import TenantCache
from rapport.domain.events import make_message_key
from rapport.jobs import Job, Jobs
from rapport.kafka.clients import MAX_REQUEST_BYTES
from rapport.state.customer_states import CustomerStates
from rapport.state.shared_state import SharedState, connect_shared_state
from rapport.storage.contact_profiles import read_uncollected_customers
from rapport.storage.tenants import TenantReader
from rapport.storage.tombstones import read_tombstones

if TYPE_CHECKING:
    from faust.streams import Stream
    from faust.types import EventT, StreamT, TransportT

    from pipeline.commit import CommitResult
    from pipeline.journeys import JourneyRunner
    from pipeline.prepare import PreparedBatch
    from rapport.domain.events import Message
    from rapport.metrics import StreamMetrics
    from rapport.settings import KafkaSettings, Settings
    from rapport.storage.client import Store

log = structlog.get_logger(__name__)
COVER_EVERY_S = 0.5
STALLED_AFTER_S = 5.0
"""After so long without a batch, messages that are in the log but were not delivered are taken for lost and read again.
"""


class StreamApp(faust.App):
    """Faust's application, plus the state that its consumer and its agent share.

    Attributes:
        shared: State shared with the consumer.
        journeys: Enrols customers in journeys and advances them.
        jobs: Background jobs of the worker.
        metrics: Prometheus metrics of the worker.
        states: Offers batches to the customer states.
        state_server: Valkey or Redis with them; None if there is none.
        fatal: Completes with the error that stops the worker.
    """

    shared: StreamState
    journeys: JourneyJob
    jobs: Jobs
    metrics: StreamMetrics
    states: StateWriter
    state_server: SharedState | None
    fatal: asyncio.Future[BaseException]

    def _new_transport(self) -> TransportT:
        return cast("TransportT", ProgressTransport(self.conf.broker_consumer, self))

    @property
    def progress_consumer(self) -> ProgressConsumer:
        """The consumer, by its own type."""
        return cast("ProgressConsumer", self.consumer)

    def is_stale(self, batch: Batch) -> bool:
        """Return whether the group has rebalanced since the batch was fetched."""
        return batch.generation != self.consumer_generation_id or self.should_stop

    async def apply(self, batch: Batch) -> None:
        """Apply a batch. A permanent error stops the worker with a log entry, and the batch is not acknowledged."""
        try:
            await self.shared.applier.apply(batch, self.give_up)
        except Exception as error:  # noqa: BLE001 - whatever it is
            self.give_up(error)

    def give_up(self, error: BaseException) -> None:
        """Stop the worker because of an error."""
        log.error("cannot go on: the batch is not acknowledged and will be read again", exc_info=error)
        if not self.fatal.done():
            self.fatal.set_result(error)

    def note_committed(self, prepared: PreparedBatch, committed: CommitResult) -> None:
        """Tell the journeys which events a batch has recorded."""
        self.journeys.note(list_ranges(prepared, committed), committed.resolution.accepted)

    def is_owned(self, tenant_id: str, customer_id: str) -> bool:
        """Return whether this worker owns the partition that a customer's events are written to."""
        topic, owned = self.shared.topic_name, self.shared.positions.next_offset
        if not owned:
            return False
        partition = self.consumer.key_partition(topic, make_message_key(tenant_id, customer_id))
        return partition is not None and Partition(topic, partition) in owned

    async def cover_states(self) -> None:
        """Note up to which recorded positions the customer states have been offered everything."""
        positions = self.shared.positions
        await self.states.cover(
            [AppliedRange(positions.sources[p].name, at, at) for p, at in positions.next_offset.items()]
        )

    async def check_lag(self) -> None:
        """Report the consumer lag, and read partitions again whose fetch was lost in a rebalance."""
        behind = self.progress_consumer.count_behind()
        for partition, count in behind.items():
            self.metrics.lag.labels(partition.topic, partition.partition).set(count)
        waiting = {p: self.shared.positions.next_offset[p] for p, count in behind.items() if count}
        if waiting and self.shared.applier.idle_s > STALLED_AFTER_S:
            log.warning("messages in the log were not delivered: reading them again", partitions=sorted(waiting))
            self.metrics.holes.inc(len(waiting))
            await self.progress_consumer.rewind(waiting)


def create_app(settings: Settings, store: Store, cluster_id: str, metrics: StreamMetrics) -> StreamApp:
    """Build the stream application. The source topic must exist: Faust never sees one that appears later.

    Args:
        settings: Topic, group, batch limits, consumer path.
        store: The database the results go to.
        cluster_id: The Kafka cluster's id; part of every source's name.
        metrics: Prometheus metrics of the worker.
    """
    kafka = settings.kafka
    app = StreamApp(
        kafka.group_id,
        broker=";".join(f"kafka://{address}" for address in kafka.bootstrap.split(",")),
        broker_credentials=_make_credentials(kafka),
        broker_session_timeout=kafka.session_timeout_s,
        broker_heartbeat_interval=kafka.session_timeout_s / 4,
        broker_rebalance_timeout=kafka.rebalance_timeout_s,
        broker_request_timeout=30.0,
        broker_max_poll_records=min(5_000, settings.worker.batch_max_events),
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=30_000,
        consumer_max_fetch_size=1 << 20,
        stream_buffer_maxsize=settings.worker.batch_max_events,
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        datadir=Path(tempfile.gettempdir()) / f"rapport-{kafka.group_id}",
        autodiscover=False,
        producer_max_request_size=MAX_REQUEST_BYTES,
        producer_compression_type=None if kafka.compression == "none" else kafka.compression,
    )
    app.metrics = metrics
    positions = Positions(store, kafka, cluster_id, metrics)
    tenant_cache = TenantCache(partial(TenantReader().read, store), refresh_s=settings.worker.refresh_s)
    privacy = PrivacyFilter(
        lambda since_ms: read_tombstones(store, since_ms),
        lambda: read_uncollected_customers(store),
        metrics,
        refresh_s=settings.worker.refresh_s,
    )
    app.state_server = connect_shared_state(settings.state_url)
    app.states = StateWriter(None if app.state_server is None else CustomerStates(app.state_server), metrics)
    send_dead_letters = make_dead_letter_sender(app, kafka.dead_letter_topic)
    on_step = make_kill_hook(settings.worker.fail_at)
    applier = Applier(
        store,
        positions,
        metrics,
        Preparer(settings, store, positions, tenant_cache, privacy, metrics, on_step),
        Committer(settings, store, positions, privacy, metrics, on_step, send_dead_letters, app.states),
        app.is_stale,
        lambda starts: app.progress_consumer.rewind(starts),  # noqa: PLW0108 - there is no consumer yet
        app.note_committed,
        on_step,
    )
    app.shared = StreamState(settings=settings, topic_name=kafka.topic, positions=positions, applier=applier)
    _declare_agent(app)
    _declare_journeys(app, store)

    _declare_jobs(app)
    return app


def _declare_agent(app: StreamApp) -> None:
    source = app.topic(app.shared.topic_name, value_type=bytes, key_type=bytes, value_serializer="raw")
    limits = app.shared.settings.worker
    if limits.consumer == "lean":
        app.shared.batches = app.channel(maxsize=0)  # bounded by is_ready_for_batch
        app.topics.add(source)  # subscribes; the lean consumer delivers past the conductor

        @app.agent(app.shared.batches, name="apply-batches")
        async def apply_batches(batches: StreamT[Batch]) -> None:
            async for batch in batches:
                await app.apply(batch)

        return

    @app.agent(source, name="apply-batches")
    async def apply_events(stream: StreamT[bytes]) -> None:
        taken = cast("Stream[bytes]", stream).noack_take(limits.batch_max_events, limits.batch_max_age_ms / 1000)
        async for events in taken:
            await app.apply(_make_batch(cast("Iterable[EventT[bytes]]", events), app.consumer_generation_id))


def _declare_journeys(app: StreamApp, store: Store) -> None:
    events = app.topic(app.shared.topic_name, value_type=bytes, key_type=bytes, value_serializer="raw")

    async def send(message: Message) -> None:
        await (await events.send(key=message.key, value=message.value))

    def recorded() -> Mapping[str, int]:
        return {app.shared.positions.sources[p].name: offset for p, offset in app.shared.positions.next_offset.items()}

    refresh_s = app.shared.settings.worker.refresh_s

    def make_runner() -> JourneyRunner:
        from pipeline.journeys import JourneyRunner  # noqa: PLC0415 - it imports the whole decision engine

        return JourneyRunner(store, send, recorded, app.is_owned, lambda: time.time_ns() // 1_000_000, refresh_s)

    app.journeys = JourneyJob(store, make_runner, refresh_s)


def _declare_jobs(app: StreamApp) -> None:
    limits = app.shared.settings.worker
    refresh_s, journeys_s = limits.refresh_s, limits.journeys_s
    jobs = [
        Job(name="repairs", work=app.shared.applier.repair, every_s=refresh_s, first_after_s=refresh_s),
        Job(name="lag", work=app.check_lag, every_s=refresh_s, first_after_s=refresh_s),
        Job(name="states", work=app.cover_states, every_s=COVER_EVERY_S, first_after_s=0.0),
        Job(name="journeys", work=app.journeys.run, every_s=journeys_s, first_after_s=journeys_s),
    ]
    app.jobs = Jobs(jobs, app.metrics.jobs)

    @app.task  # type: ignore[untyped-decorator]
    async def run_jobs() -> None:
        """Run pending repairs, report the consumer lag and advance journeys."""
        await app.jobs.run()


def _make_batch(events: Iterable[EventT[bytes]], generation: int) -> Batch:
    batch = Batch(generation)
    by_partition: dict[Partition, list[FetchedRecord]] = {}
    for event in events:
        message = event.message
        by_partition.setdefault(Partition(message.topic, message.partition), []).append(
            FetchedRecord(message.offset, round(message.timestamp * 1000), message.key, message.value)
        )
    for partition, records in by_partition.items():
        batch.take({partition: sorted(records, key=lambda record: record.offset)})
    return batch


def _make_credentials(kafka: KafkaSettings) -> object:
    if kafka.security_protocol == "PLAINTEXT":
        return None
    import ssl  # noqa: PLC0415

    context = ssl.create_default_context(cafile=kafka.ssl_cafile or None) if "SSL" in kafka.security_protocol else None
    if kafka.security_protocol == "SSL":
        return context
    return faust.SASLCredentials(
        username=kafka.sasl_username,
        password=kafka.sasl_password.reveal(),
        ssl_context=context,
        mechanism=kafka.sasl_mechanism,
    )
