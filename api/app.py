"""The composition root: settings in, an ASGI application out."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from litestar import Litestar

from api.api_keys import build_api_keys
from api.audit import build_audit
from api.auth.authentication import Authentication, Revalidation
from api.auth.key_cache import KeyCache
from api.auth.rate_limit import RateLimit
from api.background import background_jobs
from api.catalogue import build_catalogue
from api.clv import build_clv, build_customer_values
from api.consents import build_consents
from api.contact_profiles import build_contact_profiles
from api.customers import build_customers
from api.decision_traces import build_decision_traces, build_trace_service
from api.eligibility import build_eligibility
from api.experiments import build_experiments
from api.health import build_health
from api.history import build_history, build_page_loader
from api.http.access_log import ObservedApp
from api.http.admission import Admission
from api.http.allowed_methods import AllowedMethods
from api.http.areas import route_areas
from api.http.body_decoder import BodyDecoder
from api.http.errors import EXCEPTION_HANDLERS
from api.http.openapi import asset_routes, openapi_config
from api.http.paths import PathParameters
from api.http.times import now_ms
from api.http.unknown_parameters import ParameterCheck
from api.identity import build_identity
from api.ingest import build_ingest
from api.jobs import build_jobs
from api.journeys import build_journeys
from api.metric_values import build_metric_values
from api.outcome_types import build_outcome_types
from api.privacy import build_privacy
from api.recommend import build_decisions, build_recommend
from api.respond import build_respond
from api.runtime.freshness import Freshness
from api.runtime.runtime import build_runtime
from api.segments import build_segments
from api.simulate import build_simulate
from api.summaries import build_summaries
from api.suppressions import build_suppression_service, build_suppressions
from api.unified_profile import build_unified_profile
from rapport.jobs import STOP_S, cancel_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from api.http.areas import Area
    from api.http.times import Clock
    from api.runtime.runtime import Runtime
    from rapport.jobs import Jobs
    from rapport.settings import Settings


def create_app(settings: Settings, *, clock: Clock = now_ms) -> ObservedApp:
    """Build the API.

    It starts without ClickHouse and Kafka and answers 503 until they are there.

    Args:
        settings: Of this process.
        clock: Decisions, outcome types and times of changes go by it.

    Raises:
        SettingsError: A setting cannot be understood.
    """
    runtime = build_runtime(settings, clock)
    keyring = KeyCache(runtime.database, settings.api, runtime.versions)
    areas = build_areas(runtime)
    jobs = background_jobs(runtime, keyring, areas)
    litestar = Litestar(
        route_handlers=[*asset_routes(), *route_areas([*areas, build_jobs(runtime, jobs)])],
        middleware=[
            Authentication(keyring, settings.api),
            RateLimit(settings.api, runtime.tenants, runtime.versions, runtime.shared),
            Revalidation(keyring),
            Freshness(runtime.watermark),
            AllowedMethods(),
            PathParameters(),
        ],
        before_request=ParameterCheck(),
        exception_handlers=dict(EXCEPTION_HANDLERS),
        lifespan=[lambda _app: _run_jobs(jobs, runtime)],
        openapi_config=openapi_config(),
        request_max_body_size=settings.api.max_body_bytes,
        logging_config=None,
    )
    return ObservedApp(BodyDecoder(Admission(litestar, settings.api)), runtime.metrics)


def build_areas(runtime: Runtime) -> Sequence[Area]:
    """Build every area but the one of jobs, which shows those of the others. Their jobs are listed in this order."""
    decisions = build_decisions(runtime)
    pages = build_page_loader(runtime)
    traces = build_trace_service(runtime, decisions)
    values = build_customer_values(runtime)
    suppressions = build_suppression_service(runtime)
    return (
        build_health(runtime),
        build_catalogue(runtime),
        build_customers(runtime),
        build_consents(runtime),
        build_audit(runtime),
        build_api_keys(runtime),
        build_privacy(runtime, decisions),
        build_experiments(runtime),
        build_history(runtime, pages),
        build_identity(runtime),
        build_decision_traces(traces),
        build_eligibility(runtime, decisions, traces),
        build_journeys(runtime),
        build_ingest(runtime),
        build_metric_values(runtime),
        build_outcome_types(runtime),
        build_recommend(runtime, decisions),
        build_respond(runtime, decisions),
        build_simulate(runtime, decisions),
        build_segments(runtime),
        build_summaries(runtime),
        build_suppressions(suppressions),
        build_clv(values),
        build_unified_profile(runtime, pages, values, suppressions),
        build_contact_profiles(runtime),
    )


@asynccontextmanager
async def _run_jobs(jobs: Jobs, runtime: Runtime) -> AsyncIterator[None]:
    """Run the background jobs while the application serves, and close the connections after it."""
    beside = asyncio.create_task(jobs.run())
    try:
        yield
    finally:
        await cancel_all([beside], again_after_s=2 * STOP_S)
        await runtime.close()
