"""The composition root: settings in, an ASGI application out."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from operator import attrgetter
from typing import TYPE_CHECKING

from litestar import Controller, Litestar, Router
from litestar.di import Provide

from api.api_keys.controller import ApiKeyController
from api.audit.controller import AuditController
from api.auth.authentication import Authentication
from api.auth.keyring import Keyring
from api.auth.rate_limit import RateLimit
from api.background import background_jobs
from api.catalogue.controller import controller_of
from api.catalogue.flows import FlowController
from api.catalogue.lint import LintController
from api.catalogue.resources import RESOURCES
from api.clv.controller import ClvController
from api.clv.service import CustomerValues
from api.consents.bulk import ConsentsController
from api.consents.controller import ConsentController
from api.contact_profiles.controller import contact_profile_routes
from api.contact_profiles.service import ContactProfiles
from api.customers.bulk import CustomersController
from api.customers.controller import CustomerController
from api.customers.schema_data import SchemaDataController
from api.decision_traces.controller import DecisionController, TraceController
from api.eligibility.controller import EligibilityController
from api.experiments.controller import ExperimentResultsController
from api.health.controller import HealthController
from api.health.readiness import Readiness
from api.history.controller import HistoryController
from api.http.access_log import Observed
from api.http.admission import Admission
from api.http.allowed_methods import AllowedMethods
from api.http.body_encoding import BodyEncoding
from api.http.client_address import ClientAddresses
from api.http.errors import EXCEPTION_HANDLERS
from api.http.metrics import ApiMetrics
from api.http.openapi import asset_routes, openapi_config
from api.http.paths import PathParameters
from api.http.times import now_ms
from api.http.unknown_parameters import KnownParameters
from api.identity.controller import IdentityController
from api.ingest.controller import IngestController
from api.jobs.controller import JobController
from api.journeys.controller import EnrollmentController
from api.metric_values.controller import MetricValueController
from api.outcome_types.controller import OutcomeTypeController
from api.privacy.controller import DsarController, ErasureController
from api.privacy.retention import RetentionController
from api.recommend.circuit_breakers import Circuits
from api.recommend.controller import RecommendController
from api.recommend.decider import Decider
from api.recommend.facts import FactsReader, load_asked
from api.recommend.quota import DecisionQuota
from api.recommend.recent_decisions import RecentDecisions
from api.recommend.reservation_store import MemoryBook
from api.recommend.reservation_store_redis import SharedBook
from api.recommend.tenant_totals import TenantTotals
from api.respond.controller import RespondController
from api.runtime.catalogue_cache import CompiledCatalogues
from api.runtime.database import Database
from api.runtime.event_producer import EventGateway
from api.runtime.freshness import Freshness
from api.runtime.idempotency import Repetitions
from api.runtime.identity_cache import IdentityMap
from api.runtime.loader import Loader
from api.runtime.shared_state import connect_shared_state
from api.runtime.tenants import TenantDirectory
from api.runtime.watermark import Watermark
from api.segments.controller import SegmentMemberController
from api.segments.refresh import SegmentRefresher
from api.services import Services
from api.simulate.controller import SimulateController
from api.summaries.controller import SummaryController
from api.suppressions.controller import SuppressionController
from api.unified_profile.controller import UnifiedProfileController
from api.unified_profile.service import BUILT_IN, UnifiedProfiles
from rapport.application.profiles.sections import discover_sections
from rapport.jobs import STOP_S, Jobs, cancel_all
from rapport.storage.history import read_pages
from rapport.storage.recorded_events import find_recorded_events
from rapport.storage.segments import load_memberships
from rapport.storage.summaries import read_summaries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from api.runtime.shared_state import SharedState
    from rapport.settings import Settings

CONTROLLERS: tuple[type[Controller], ...] = (
    *map(controller_of, RESOURCES),
    FlowController,
    LintController,
    CustomerController,
    CustomersController,
    SchemaDataController,
    ConsentController,
    ConsentsController,
    AuditController,
    ApiKeyController,
    DsarController,
    ErasureController,
    ExperimentResultsController,
    HistoryController,
    IdentityController,
    DecisionController,
    EligibilityController,
    EnrollmentController,
    IngestController,
    JobController,
    MetricValueController,
    OutcomeTypeController,
    RecommendController,
    RespondController,
    RetentionController,
    SimulateController,
    SegmentMemberController,
    SummaryController,
    SuppressionController,
    ClvController,
    UnifiedProfileController,
    TraceController,
)
"""The areas of the API, below ``/api/v1``."""


def create_app(settings: Settings, *, clock: Callable[[], int] = now_ms) -> Observed:
    """Build the API.

    It starts without ClickHouse and Kafka and answers 503 until they are there.

    Args:
        settings: Of this process.
        clock: Epoch milliseconds; what decisions and outcome types go by.

    Raises:
        SettingsError: A setting cannot be understood.
    """
    metrics = ApiMetrics()
    database = Database(settings.clickhouse, metrics.time_query)
    tenants = TenantDirectory(database)
    catalogues = CompiledCatalogues(database)
    identities = IdentityMap(database)
    watermark = Watermark(database, settings.kafka, metrics)
    shared = connect_shared_state(settings.api)
    max_batch = settings.api.loader_max_batch if settings.api.loader else 1
    services = Services(
        settings=settings,
        metrics=metrics,
        database=database,
        catalogues=catalogues,
        identities=identities,
        tenants=tenants,
        keyring=Keyring(database, settings.api),
        watermark=watermark,
        gateway=EventGateway(settings),
        summaries=Loader(
            lambda requests: database.call(read_summaries, requests),
            max_batch=max_batch,
            tenant_of=attrgetter("tenant_id"),
            sizes=metrics.loaded.labels("summaries"),
        ),
        history=Loader(
            lambda requests: database.call(read_pages, requests),
            max_batch=max_batch,
            tenant_of=attrgetter("wanted.tenant_id"),
            sizes=metrics.loaded.labels("history"),
        ),
        repetitions=Repetitions(
            Loader(
                lambda keys: database.call(find_recorded_events, keys, settings.worker.dedup_horizon_hours),
                max_batch=max_batch,
                tenant_of=attrgetter("tenant_id"),
                sizes=metrics.loaded.labels("repetitions"),
            ),
            watermark,
            shared,
            patience_s=settings.api.kafka_timeout_s + 2,
        ),
        client_addresses=ClientAddresses(settings.api.trusted_proxies),
        clock=clock,
        decisions=RecentDecisions(database, clock),
        decider=Decider(
            FactsReader(
                # One at a time: larger queries cost little more, and decisions that come together keep company.
                Loader(
                    lambda asked: load_asked(database, asked),
                    max_batch=max_batch,
                    tenant_of=attrgetter("facts.tenant_id"),
                    concurrent=1,
                    sizes=metrics.loaded.labels("facts"),
                ),
                Loader(
                    lambda keys: database.call(load_memberships, keys),
                    max_batch=max_batch,
                    tenant_of=attrgetter("tenant_id"),
                    sizes=metrics.loaded.labels("segments"),
                ),
                TenantTotals(database),
                watermark,
                identities,
            ),
            Circuits(),
            metrics,
        ),
        quota=DecisionQuota(database),
        readiness=Readiness(database),
        clv=CustomerValues(database, identities, settings, clock),
        profiles=UnifiedProfiles(discover_sections(BUILT_IN), settings.api.profile_section_s),
        segments=SegmentRefresher(database, catalogues, tenants, clock, every_s=settings.api.segment_refresh_s),
        reservations=MemoryBook() if shared is None else SharedBook(shared, int(settings.api.reservation_s * 1000)),
        contact_profiles=ContactProfiles(database, clock, settings.api.profile_retention_days),
    )

    jobs = background_jobs(services)

    async def provide_services() -> Services:
        return services

    async def provide_jobs() -> Jobs:
        return jobs

    litestar = Litestar(
        route_handlers=[
            HealthController,
            *asset_routes(),
            Router("/api/v1", route_handlers=list(CONTROLLERS)),
            *contact_profile_routes(),
        ],
        dependencies={"services": Provide(provide_services), "jobs": Provide(provide_jobs)},
        middleware=[
            Authentication(services.keyring, settings.api),
            RateLimit(settings.api, tenants, shared),
            Freshness(services.watermark),
            AllowedMethods(),
            PathParameters(),
        ],
        before_request=KnownParameters(),
        exception_handlers=dict(EXCEPTION_HANDLERS),
        lifespan=[lambda _app: _running(services, jobs, shared)],
        openapi_config=openapi_config(),
        request_max_body_size=settings.api.max_body_bytes,
        logging_config=None,
    )
    return Observed(BodyEncoding(Admission(litestar, settings.api)), metrics)


@asynccontextmanager
async def _running(services: Services, jobs: Jobs, shared: SharedState | None) -> AsyncIterator[None]:
    """Run what goes on beside the requests."""
    beside = asyncio.create_task(jobs.run())
    try:
        yield
    finally:
        await cancel_all([beside], again_after_s=2 * STOP_S)
        if shared is not None:
            await shared.redis.aclose()
        services.database.close()
