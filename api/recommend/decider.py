"""Makes decisions: loads facts, runs the flow, records what explains the decision."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from api.http.trace_id import current_trace_id
from api.recommend.facts import Facts
from api.runtime.compute_threads import run_in_thread
from rapport.application.decisions.decide import DecisionTask, make_decision, record_decision
from rapport.domain.decisions.decision import Decision
from rapport.domain.decisions.record import (
    DecisionRecord,
)
from rapport.domain.decisions.removal_groups import find_empty_reason, find_last_removals

if TYPE_CHECKING:
    from api.http.metrics import ApiMetrics
    from api.recommend.circuit_breakers import CircuitBreakers
    from api.recommend.facts import FactsLoader
    from rapport.domain.decisions.reservations import Reservation

SEED_BITS: Final = 48
"""A seed is a whole number that every JSON reader reads exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionResult:
    """Decision with its record.

    Attributes:
        finished: Reservations that are not needed any more.
        facts_ms: Duration of loading the facts, milliseconds; ``decide_ms`` of deciding.
    """

    record: DecisionRecord
    finished: frozenset[str]
    facts_ms: float
    decide_ms: float


class Decider:
    """Makes decisions without effects: reservations, messages and :meth:`learn` are up to the caller."""

    def __init__(self, facts: FactsLoader, circuits: CircuitBreakers, metrics: ApiMetrics) -> None:
        self._facts = facts
        self._circuits = circuits
        self._metrics = metrics

    async def read_facts(self, task: DecisionTask, now_ms: int, reservations: Collection[Reservation] = ()) -> Facts:
        """Load the facts of a decision.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        return await self._facts.read(task.tenant, task.catalogue, task.request, now_ms, reservations)

    def learn(self, tenant_id: str, decision: Decision, now_ms: int) -> None:
        """Note failed models, whose circuits open, and count removed offers."""
        self._circuits.note(tenant_id, decision, now_ms)
        for stage, number in Counter(one.stage for one in find_last_removals(decision).values()).items():
            self._metrics.offers_lost.labels(stage).inc(number)
        if (reason := find_empty_reason(decision)) is not None:
            self._metrics.decisions_empty.labels(reason).inc()

    async def decide(
        self, task: DecisionTask, recommendation_id: str, now_ms: int, reservations: Collection[Reservation] = ()
    ) -> DecisionResult:
        """Decide.

        Args:
            task: Tenant, catalogue, flow and request.
            recommendation_id: Id of the decision.
            now_ms: Time of the decision, epoch milliseconds.
            reservations: Reservations of the customer.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        started = time.perf_counter()
        facts = await self.read_facts(task, now_ms, reservations)
        read = time.perf_counter()
        seed = secrets.randbits(SEED_BITS)
        circuits = self._circuits.find_open(task.tenant.tenant_id, now_ms)
        decision = await self._run(task, facts, now_ms, seed, circuits)
        decided = time.perf_counter()
        self._metrics.decision_seconds.labels("facts").observe(read - started)
        self._metrics.decision_seconds.labels("decide").observe(decided - read)
        record = record_decision(
            task,
            facts.customer,
            facts.tenant,
            facts.watermark,
            decision,
            recommendation_id=recommendation_id,
            now_ms=now_ms,
            total_ms=(decided - started) * 1000,
            open_circuits=circuits,
            trace_id=current_trace_id(),
        )
        return DecisionResult(
            record=record,
            finished=facts.finished,
            facts_ms=(read - started) * 1000,
            decide_ms=(decided - read) * 1000,
        )

    async def try_out(self, task: DecisionTask, now_ms: int, reservations: Collection[Reservation] = ()) -> Decision:
        """Decide without a record.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        facts = await self.read_facts(task, now_ms, reservations)
        circuits = self._circuits.find_open(task.tenant.tenant_id, now_ms)
        return await self._run(task, facts, now_ms, secrets.randbits(SEED_BITS), circuits)

    async def _run(
        self, task: DecisionTask, facts: Facts, now_ms: int, seed: int, circuits: frozenset[str]
    ) -> Decision:
        make = partial(
            make_decision, task, facts.customer, facts.tenant, now_ms=now_ms, seed=seed, open_circuits=circuits
        )
        return make() if task.catalogue.is_light else await run_in_thread(task.tenant.tenant_id, make)
