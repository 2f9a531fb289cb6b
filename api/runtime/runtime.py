"""Parts of an API process that several areas build upon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Final, TypeVar

from api.http.metrics import ApiMetrics
from api.runtime.catalogue_cache import CompiledCatalogues
from api.runtime.event_producer import EventProducer
from api.runtime.idempotency import IdempotencyStore
from api.runtime.identity_cache import IdentityCache
from api.runtime.loader import CONCURRENT, Loader
from api.runtime.tenant_cache import TenantCache
from api.runtime.versions import Versions
from api.runtime.watermark import Watermark
from rapport.jobs import Job
from rapport.state.change_announcer import ChangeAnnouncer, make_change_announcer
from rapport.state.customer_states import CustomerStates
from rapport.state.shared_state import SharedState, connect_shared_state
from rapport.storage.database import Database
from rapport.storage.recorded_events import find_recorded_events

if TYPE_CHECKING:
    from api.http.times import Clock
    from rapport.settings import Settings

PROBE_S: Final = 1.0
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Parts made once per process; the functions that build areas hand each service the few that it uses.

    Attributes:
        clock: Decisions, outcome types and times of changes go by it.
        shared: Redis or Valkey; None if each process keeps its own state.
        states: Customer states in it; None if there are none.
        announcer: Tells other processes of changes; None likewise.
        versions: Newest versions of what this process keeps in memory.
    """

    settings: Settings
    clock: Clock
    metrics: ApiMetrics
    database: Database
    tenants: TenantCache
    catalogues: CompiledCatalogues
    identities: IdentityCache
    watermark: Watermark
    producer: EventProducer
    shared: SharedState | None
    states: CustomerStates | None
    announcer: ChangeAnnouncer | None
    versions: Versions
    idempotency: IdempotencyStore

    def loader(
        self,
        name: str,
        fetch: Callable[[Sequence[K]], Awaitable[Sequence[V]]],
        *,
        tenant_of: Callable[[K], Hashable],
        concurrent: int = CONCURRENT,
    ) -> Loader[K, V]:
        """Return a loader with the batch size of the settings, measured under a name."""
        return _loader(self.settings, self.metrics, name, fetch, tenant_of=tenant_of, concurrent=concurrent)

    def jobs(self) -> Sequence[Job]:
        """Return the background work that connects the process to Kafka and follows the log and the tables."""
        producer, watermark = self.producer, self.watermark
        probes = (
            ()
            if self.shared is None
            else (Job(name="shared-state", work=partial(self._probe_state, self.shared), every_s=PROBE_S),)
        )
        return (
            *probes,
            Job(name="kafka", work=producer.run, every_s=0.2, retry_s=0.2, longest_retry_s=5.0),
            Job(name="log-end", work=watermark.follow_log, every_s=0.0, retry_s=0.5, longest_retry_s=5.0),
            Job(name="progress", work=watermark.follow_tables, every_s=0.0, retry_s=0.5, longest_retry_s=5.0),
        )

    async def _probe_state(self, shared: SharedState) -> None:
        """Find out whether Valkey answers, so that no request has to.

        Raises:
            RedisError: It does not.
        """
        try:
            await shared.ask(shared.redis.ping)
        finally:
            self.metrics.state_up.set(not shared.is_away)

    async def close(self) -> None:
        """Close the connections; calls of the database that run are waited for."""
        if self.shared is not None:
            await self.shared.close()
        self.database.close()
        if self.announcer is not None:
            self.announcer.close()


def build_runtime(settings: Settings, clock: Clock) -> Runtime:
    """Make the parts; nothing is connected before it is used.

    Raises:
        SettingsError: A setting cannot be understood.
    """
    metrics = ApiMetrics()
    announcer = make_change_announcer(settings.state_url)
    versions = Versions(announcer)
    database = Database(settings.clickhouse, metrics.time_query, versions)
    shared = connect_shared_state(settings.state_url)
    states = CustomerStates(shared) if shared is not None else None
    watermark = Watermark(database, settings.kafka, metrics, states)
    recorded = _loader(
        settings,
        metrics,
        "repetitions",
        lambda keys: database.call(find_recorded_events, keys, settings.worker.dedup_horizon_hours),
        tenant_of=attrgetter("tenant_id"),
    )
    return Runtime(
        settings=settings,
        clock=clock,
        metrics=metrics,
        database=database,
        tenants=TenantCache(database),
        catalogues=CompiledCatalogues(database, versions),
        identities=IdentityCache(database, versions),
        watermark=watermark,
        producer=EventProducer(settings),
        shared=shared,
        states=states,
        announcer=announcer,
        versions=versions,
        idempotency=IdempotencyStore(recorded, watermark, shared, patience_s=settings.api.kafka_timeout_s + 2),
    )


def _loader(
    settings: Settings,
    metrics: ApiMetrics,
    name: str,
    fetch: Callable[[Sequence[K]], Awaitable[Sequence[V]]],
    *,
    tenant_of: Callable[[K], Hashable],
    concurrent: int = CONCURRENT,
) -> Loader[K, V]:
    return Loader(
        fetch,
        max_batch=settings.api.loader_max_batch if settings.api.loader else 1,
        tenant_of=tenant_of,
        concurrent=concurrent,
        sizes=metrics.loaded.labels(name),
    )
