"""Dry runs: decisions that are not shown, written or reserved."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

import msgspec

from api.http.errors import ApiError, invalid
from api.recommend.answers import answer, summarise
from api.recommend.request_resolution import ResolvedRequest, resolve_body
from api.recommend.schemas import ALIASES, Recommendation, RecommendBody, RecommendedItem, Text, Timing, TraceSummary
from rapport.application.decisions.decide import DecisionTask
from rapport.application.decisions.recommendation_id import make_recommendation_id
from rapport.domain.catalogue.strategy import DecisionFlow
from rapport.domain.conditions import ConditionError
from rapport.domain.configs import ConfigError
from rapport.domain.customers.customer import CustomerKey
from rapport.domain.decisions.removal_groups import EmptyReason, find_empty_reason
from rapport.domain.faults import Fault
from rapport.storage.decisions import sample_customers

if TYPE_CHECKING:
    from api.http.times import Clock
    from api.recommend.decider import Decider
    from api.recommend.reservation_store import ReservationStore
    from api.runtime.catalogue_cache import CompiledCatalogues
    from api.runtime.identity_cache import IdentityCache
    from api.runtime.tenant_cache import TenantCache
    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.decisions.decision import Decision
    from rapport.domain.decisions.reservations import Reservation
    from rapport.domain.tenants import Tenant
    from rapport.storage.database import Database

MAX_SAMPLE: Final = 1_000
TOP_OFFERS: Final = 20
AT_ONCE: Final = 16
"""Decisions that share a query also come back together, and each takes a part of the loop's turn."""


class SimulateBody(RecommendBody, frozen=True):
    """Dry run: as for Recommend, for one customer, or for several when ``customerId`` is left out.

    Attributes:
        customer_ids: For these customers; left out, for a sample of all.
        sample_size: For so many of the customers who were ever contacted.
        draft: Whether the flow's draft is run instead of its published nodes.
    """

    ALIASES: ClassVar[Mapping[str, str]] = ALIASES

    customer_ids: Annotated[Sequence[Text], msgspec.Meta(min_length=1, max_length=MAX_SAMPLE)] | None = None
    sample_size: Annotated[int, msgspec.Meta(ge=1, le=MAX_SAMPLE)] = 100
    draft: bool = False


class DryRun(Recommendation, frozen=True, kw_only=True):
    """Recommendation of a dry run; ``offers`` is ``decisions`` under its older name."""

    offers: Sequence[RecommendedItem] = ()


class OfferCount(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Number of customers who would get an offer, and how often first."""

    offer_id: str
    count: int
    first_count: int


class SampleRun(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Result of a dry run for several customers.

    Attributes:
        reachable_customers: Who would be offered anything.
        average_score: Of all that would be offered.
        removed: How often each rule, policy or node would take a candidate out.
        empty_reasons: For how many customers nothing would be shown, by the reason.
    """

    id: str
    status: str
    sample_size: int
    reachable_customers: int
    offers_delivered: int
    average_score: float
    top_offers: Sequence[OfferCount]
    removed: Mapping[str, int]
    empty_reasons: Mapping[EmptyReason, int]
    total_ms: float


class SimulateService:
    """Dry runs of decisions."""

    def __init__(
        self,
        database: Database,
        catalogues: CompiledCatalogues,
        tenants: TenantCache,
        identities: IdentityCache,
        reservations: ReservationStore,
        decider: Decider,
        clock: Clock,
    ) -> None:
        self._database = database
        self._catalogues = catalogues
        self._tenants = tenants
        self._identities = identities
        self._reservations = reservations
        self._decider = decider
        self._clock = clock

    async def simulate(self, tenant_id: str, body: SimulateBody) -> DryRun | SampleRun:
        """Try a decision, without any effect.

        Raises:
            ApiError: 400 for a request with faults or a draft that cannot be run, 404 for an unknown flow.
            StorageError: ClickHouse does not answer.
        """
        if body.customer_id and body.customer_ids:
            raise invalid(Fault(field="customerIds", message="must not be sent together with customerId"))
        tenant = await self._tenants.get(tenant_id)
        catalogue = await self._catalogues.of(tenant_id)
        flow = await self._find_draft(tenant_id, body) if body.draft else None
        try:
            if body.customer_id:
                return await self._one(tenant, catalogue, body, flow)
            return await self._many(tenant, catalogue, body, flow)
        except (ConfigError, ConditionError) as error:
            raise ApiError(400, f"The draft cannot be run: {error}") from error

    async def _one(self, tenant: Tenant, catalogue: Catalogue, body: SimulateBody, flow: DecisionFlow | None) -> DryRun:
        started = time.perf_counter()
        customer_id = body.customer_id or ""
        task = _about(customer_id, resolve_body(body, customer_id, catalogue, flow), tenant, catalogue)
        now_ms = self._clock()
        reservations = await self._peek_reservations(task)
        made = await self._decider.decide(task, make_recommendation_id(now_ms), now_ms, reservations)
        timing = Timing(
            facts_ms=round(made.facts_ms, 3),
            decide_ms=round(made.decide_ms, 3),
            write_ms=0.0,
            total_ms=round((time.perf_counter() - started) * 1000, 3),
        )
        found = answer(made.record, catalogue, timing, is_debugging=body.debug)
        summary: TraceSummary = summarise(made.record.decision)
        fields = {name: getattr(found, name) for name in found.__struct_fields__}
        return DryRun(**{**fields, "trace_summary": summary, "offers": found.decisions})

    async def _many(
        self, tenant: Tenant, catalogue: Catalogue, body: SimulateBody, flow: DecisionFlow | None
    ) -> SampleRun:
        started = time.perf_counter()
        customers = list(dict.fromkeys(body.customer_ids or ()))
        if not customers:
            customers = await self._database.call(sample_customers, tenant.tenant_id, body.sample_size)
        resolved = resolve_body(body, "", catalogue, flow)
        waiting = iter(customers)
        tally = _Tally()

        async def try_some() -> None:
            for customer_id in waiting:
                task = _about(customer_id, resolved, tenant, catalogue)
                reservations = await self._peek_reservations(task)
                tally.add(await self._decider.try_out(task, self._clock(), reservations))
                await asyncio.sleep(0)  # decisions that shared a query come together

        try:
            async with asyncio.TaskGroup() as group:  # ends the others when one fails
                for _ in range(AT_ONCE):
                    group.create_task(try_some())
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return tally.result(make_recommendation_id(self._clock()), (time.perf_counter() - started) * 1000)

    async def _peek_reservations(self, task: DecisionTask) -> Collection[Reservation]:
        tenant_id = task.tenant.tenant_id
        canonical_id = (await self._identities.of(tenant_id)).canonical(task.request.customer_id)
        return await self._reservations.peek(CustomerKey(tenant_id, canonical_id))

    async def _find_draft(self, tenant_id: str, body: SimulateBody) -> DecisionFlow:
        """Find the draft of the flow that a body names, as if it were published."""
        stored = await self._catalogues.stored(tenant_id)
        key = body.decision_flow_key
        for entity in stored.entities.get("decision_flow", ()):
            if isinstance(entity, DecisionFlow) and key in (entity.key, entity.id):
                return msgspec.structs.replace(entity, published=entity.draft)
        raise ApiError(404, f"There is no decision flow {key!r} whose draft could be run.")


def _about(customer_id: str, resolved: ResolvedRequest, tenant: Tenant, catalogue: Catalogue) -> DecisionTask:
    """Make the task of a body for one customer: the body is resolved once for all of them."""
    request = replace(resolved.request, customer_id=customer_id)
    return DecisionTask(
        tenant=tenant, catalogue=catalogue, flow=resolved.flow, request=request, problems=resolved.problems
    )


@dataclass(slots=True)
class _Tally:
    """Running totals over decisions."""

    runs: int = 0
    reached: int = 0
    delivered: int = 0
    total_score: float = 0.0
    counts: dict[str, list[int]] = field(default_factory=dict)
    removed: Counter[str] = field(default_factory=Counter)
    empty_reasons: Counter[EmptyReason] = field(default_factory=Counter)

    def add(self, decision: Decision) -> None:
        self.runs += 1
        self.reached += bool(decision.items)
        self.delivered += len(decision.items)
        for item in decision.items:
            self.total_score += item.score
            count = self.counts.setdefault(item.offer_id, [0, 0])
            count[0] += 1
            count[1] += item.rank == 1
        if reason := find_empty_reason(decision):
            self.empty_reasons[reason] += 1
        self.removed.update(removal.by for removal in decision.trace.removals)

    def result(self, run_id: str, total_ms: float) -> SampleRun:
        top = sorted(self.counts.items(), key=lambda one: (-one[1][0], one[0]))[:TOP_OFFERS]
        return SampleRun(
            id=run_id,
            status="completed",
            sample_size=self.runs,
            reachable_customers=self.reached,
            offers_delivered=self.delivered,
            average_score=self.total_score / self.delivered if self.delivered else 0.0,
            top_offers=[OfferCount(offer_id=one, count=many, first_count=first) for one, (many, first) in top],
            removed=dict(sorted(self.removed.items(), key=lambda one: (-one[1], one[0]))),
            empty_reasons=self.empty_reasons,
            total_ms=round(total_ms, 3),
        )
