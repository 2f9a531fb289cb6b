"""Recommendations, and the parts of deciding that other areas share."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from api.http.areas import Area
from api.http.client_address import ClientAddresses
from api.recommend.circuit_breakers import CircuitBreakers
from api.recommend.controller import RecommendController
from api.recommend.decider import Decider
from api.recommend.facts import FactsLoader, load_facts
from api.recommend.quota import DecisionQuota
from api.recommend.recent_decisions import RecentDecisions
from api.recommend.reservation_store import MemoryReservationStore, ReservationStore
from api.recommend.reservation_store_redis import RedisReservationStore
from api.recommend.reserving_decider import ReservingDecider
from api.recommend.service import RecommendService
from api.recommend.state_facts import StateFacts, load_states
from api.recommend.tenant_totals import TenantTotals

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Decisions:
    """Parts of deciding, made once per process.

    Attributes:
        recent: Decisions that the stream may not have written yet.
    """

    decider: Decider
    reservations: ReservationStore
    recent: RecentDecisions


def build_decisions(runtime: Runtime) -> Decisions:
    """Make the parts of deciding from the database, the caches, the watermark and the metrics of the process."""
    database = runtime.database
    facts = FactsLoader(
        # One at a time: larger queries cost little more, and decisions that come together keep company.
        runtime.loader(
            "facts",
            lambda queries: load_facts(database, queries),
            tenant_of=attrgetter("contacts.tenant_id"),
            concurrent=1,
        ),
        _build_state_facts(runtime),
        TenantTotals(database),
        runtime.watermark,
        runtime.identities,
    )
    return Decisions(
        decider=Decider(facts, CircuitBreakers(), runtime.metrics),
        reservations=MemoryReservationStore()
        if runtime.shared is None
        else RedisReservationStore(runtime.shared, _reservation_ms(runtime)),
        recent=RecentDecisions(database, runtime.shared, runtime.clock),
    )


def _build_state_facts(runtime: Runtime) -> StateFacts | None:
    if runtime.states is None:
        return None
    loader = runtime.loader(
        "states",
        lambda queries: load_states(runtime.database, queries),
        tenant_of=attrgetter("key.tenant_id"),
        concurrent=1,
    )
    return StateFacts(runtime.states, loader, runtime.database, runtime.watermark, runtime.metrics)


def build_recommend(runtime: Runtime, decisions: Decisions) -> Area:
    """Build the area from the parts of deciding, the caches, the producer and the watermark of the process."""
    decider = ReservingDecider(
        decisions.decider,
        decisions.reservations,
        runtime.identities,
        runtime.watermark,
        runtime.clock,
        reservation_ms=_reservation_ms(runtime),
    )
    recommender = RecommendService(
        tenants=runtime.tenants,
        catalogues=runtime.catalogues,
        quota=DecisionQuota(runtime.database),
        decider=decider,
        recent=decisions.recent,
        producer=runtime.producer,
        watermark=runtime.watermark,
        metrics=runtime.metrics,
        clock=runtime.clock,
        client_addresses=ClientAddresses(runtime.settings.api.trusted_proxies),
    )
    return Area(controllers=[RecommendController], services={"recommendations": recommender})


def _reservation_ms(runtime: Runtime) -> int:
    return int(runtime.settings.api.reservation_s * 1000)
