"""Recommends: decides, reserves exposures, and writes the decision to Kafka before it answers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.recommend.answers import answer
from api.recommend.request_resolution import name_customer, resolve_body
from api.recommend.schemas import Recommendation, Timing
from rapport.application.decisions.decide import DecisionTask
from rapport.application.decisions.recommendation_id import make_recommendation_id
from rapport.domain.decisions.message import FIRST_ITEM, encode_decision
from rapport.domain.events import make_message_key
from rapport.kafka.sources import make_event_id

if TYPE_CHECKING:
    from api.http.client_address import ClientAddresses
    from api.http.metrics import ApiMetrics
    from api.http.times import Clock
    from api.recommend.quota import DecisionQuota
    from api.recommend.recent_decisions import RecentDecisions
    from api.recommend.request_resolution import ResolvedRequest
    from api.recommend.reserving_decider import ReservedDecision, ReservingDecider
    from api.recommend.schemas import RecommendBody
    from api.runtime.catalogue_cache import CompiledCatalogues
    from api.runtime.event_producer import EventProducer, RecordMetadata
    from api.runtime.tenant_cache import TenantCache
    from api.runtime.watermark import Watermark
    from rapport.domain.decisions.message import DecisionMessage


@dataclass(frozen=True, slots=True)
class Caller:
    """The visitor of a request, by which anonymous customers are told apart.

    Attributes:
        address: Empty if it is not known.
    """

    address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class RecommendResult:
    """An answer, and the position of its decision in the log."""

    body: Recommendation
    position: str


class RecommendService:
    """Recommendations for every tenant.

    Attributes:
        client_addresses: Finds the addresses of visitors for callers of :meth:`recommend`.
    """

    def __init__(
        self,
        *,
        tenants: TenantCache,
        catalogues: CompiledCatalogues,
        quota: DecisionQuota,
        decider: ReservingDecider,
        recent: RecentDecisions,
        producer: EventProducer,
        watermark: Watermark,
        metrics: ApiMetrics,
        clock: Clock,
        client_addresses: ClientAddresses,
    ) -> None:
        self._tenants = tenants
        self._catalogues = catalogues
        self._quota = quota
        self._decider = decider
        self._recent = recent
        self._producer = producer
        self._watermark = watermark
        self._metrics = metrics
        self._clock = clock
        self.client_addresses = client_addresses

    async def recommend(self, tenant_id: str, body: RecommendBody, caller: Caller) -> RecommendResult:
        """Recommend offers to a customer.

        Raises:
            ApiError: 400 for a request with faults, 404 for an unknown flow, 429 if the tenant's quota is used up, 503
                if Kafka does not take the decision: nothing is shown and nothing is reserved then.
            StorageError: ClickHouse does not answer.
        """
        started = time.perf_counter()
        tenant = await self._tenants.get(tenant_id)
        catalogue = await self._catalogues.of(tenant_id)
        customer_id, warnings = name_customer(tenant_id, body, caller.address, caller.user_agent)
        resolved = resolve_body(body, customer_id, catalogue)
        partition = self._producer.choose_partition(make_message_key(tenant_id, resolved.request.customer_id))
        source = self._watermark.find_source(partition)
        recommendation_id = make_recommendation_id(self._clock())
        await self._quota.take(tenant, recommendation_id)
        task = DecisionTask(
            tenant=tenant, catalogue=catalogue, flow=resolved.flow, request=resolved.request, problems=resolved.problems
        )
        try:
            reserved = await self._decider.decide(task, recommendation_id)
            decided = time.perf_counter()
            message, written = await self._write(tenant_id, resolved, reserved, partition)
        except BaseException:
            self._quota.give_back(tenant, recommendation_id)
            raise
        made = reserved.made
        await asyncio.gather(
            self._recent.add(tenant_id, made.record, message.record), self._decider.confirm(reserved, source, written)
        )
        ended = time.perf_counter()
        self._decider.learn(tenant_id, made.record.decision, made.record.decided_at_ms)
        self._metrics.decision_seconds.labels("write").observe(ended - decided)
        timing = Timing(
            facts_ms=round(made.facts_ms, 3),
            decide_ms=round(made.decide_ms, 3),
            write_ms=round((ended - decided) * 1000, 3),
            total_ms=round((ended - started) * 1000, 3),
        )
        ids = [
            make_event_id(made.record.decided_at_ms, source, written.offset, FIRST_ITEM + index)
            for index in range(len(made.record.decision.items))
        ]
        found = answer(made.record, catalogue, timing, interaction_ids=ids, is_debugging=body.debug, warnings=warnings)
        return RecommendResult(found, f"{partition}:{written.offset}")

    async def _write(
        self, tenant_id: str, resolved: ResolvedRequest, reserved: ReservedDecision, partition: int
    ) -> tuple[DecisionMessage, RecordMetadata]:
        record = reserved.made.record
        try:
            message = encode_decision(tenant_id, record, resolved.context, reserved.implicit)
            key = make_message_key(tenant_id, record.customer_id)
            return message, await self._producer.send(partition, key, message.value)
        except BaseException:
            await self._decider.cancel(reserved)
            raise
