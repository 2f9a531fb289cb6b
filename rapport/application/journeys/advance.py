"""Advances enrolments in their journeys, many at a time.

A round advances all enrolments to the next step with an effect, writes the new versions, carries out the effects, and
writes that they are done; rounds repeat until nothing is left. A worker whose version was stored second leaves the
enrolment to the worker that came first.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog
from aiokafka.errors import KafkaError
from msgspec.structs import replace

from rapport.application.journeys.effects import (
    StepError,
    build_contact_event,
    build_decision_message,
    build_journey_context,
    decide_offers,
    find_contact_restriction,
    list_offers,
    update_customer,
)
from rapport.application.journeys.journey_cache import NoJourneyError
from rapport.application.journeys.load_facts import load_facts
from rapport.domain.events import Message, encode_event, make_message_key
from rapport.domain.journeys.enrolment import Enrolment, EnrolmentStatus
from rapport.domain.journeys.progress import Action, DecideAction, SendAction, advance, complete, fail, leave, postpone
from rapport.fairness import take_turns
from rapport.storage.errors import is_away as is_store_away
from rapport.storage.journeys import TenantEnrolment, append_enrolments

if TYPE_CHECKING:
    from rapport.application.journeys.journey_cache import JourneyCache, TenantConfiguration
    from rapport.domain.journeys.plan import JourneyPlan
    from rapport.domain.journeys.progress import JourneyFacts
    from rapport.storage.client import Store

log = structlog.get_logger(__name__)
MAX_ROUNDS: Final = 100
"""Rounds per call; the next call continues."""
AT_ONCE: Final = 8
"""Effects carried out at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _DueCustomer:
    """A due enrolment with all that is needed to advance it."""

    enrolment: TenantEnrolment
    plan: JourneyPlan
    config: TenantConfiguration
    facts: JourneyFacts


class _PendingEffect(NamedTuple):
    """Effect to carry out for an enrolment that has been written as standing at the step."""

    due: _DueCustomer
    state: TenantEnrolment
    action: Action


class JourneyAdvancer:
    """Advances enrolments.

    Args:
        store: Holds the enrolments.
        cache: Journeys and catalogues.
        send: Sends a message to the stream and returns when Kafka has acknowledged it.
        positions: Returns, by partition, the offset before which everything has been recorded.
        clock: Returns epoch milliseconds.
    """

    def __init__(
        self,
        store: Store,
        cache: JourneyCache,
        send: Callable[[Message], Awaitable[None]],
        positions: Callable[[], Mapping[str, int]],
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._cache = cache
        self._send = send
        self._positions = positions
        self._clock = clock

    async def advance(self, due: Sequence[TenantEnrolment]) -> int:
        """Advance enrolments as far as possible now.

        Effects that fail because ClickHouse or Kafka is unavailable are left for the next call; after other failures
        the enrolment is postponed, longer each time, and its state says why. Other enrolments do not wait.

        Returns:
            Number of versions written.

        Raises:
            StorageError: ClickHouse does not answer, or refuses.
            KafkaError: Kafka does not accept a message. The effects until then are recorded.
        """
        moved, left = 0, list(due)
        for _ in range(MAX_ROUNDS):
            if not left:
                break
            written, left = await self._round(left)
            moved += written
        return moved

    async def _round(self, states: Sequence[TenantEnrolment]) -> tuple[int, list[TenantEnrolment]]:
        """Run one round; return the number of versions written, and the enrolments that can advance again at once."""
        now_ms = self._clock()
        due_customers, changed = await asyncio.to_thread(self._prepare, states, now_ms)
        pending: dict[str, _PendingEffect] = {}
        for due in take_turns(due_customers, lambda due: due.enrolment.tenant_id):
            before = due.enrolment.enrolment
            try:
                after, actions = advance(due.plan, before, due.facts, now_ms)
            except Exception as error:  # noqa: BLE001 - the other enrolments continue
                changed.append(_postpone(due.enrolment, now_ms, error))
                continue
            state = due.enrolment if after == before else _build_next_version(due.enrolment, after)
            if after != before:
                changed.append(state)
            for action in actions:
                pending[after.id] = _PendingEffect(due, state, action)
        stored = await asyncio.to_thread(append_enrolments, self._store, changed)
        lost = {one.enrolment.id for one in changed} - stored
        done = await self._act([one for name, one in pending.items() if name not in lost])
        finished = await asyncio.to_thread(append_enrolments, self._store, done)
        continuing = [one for one in done if one.enrolment.id in finished and _can_continue(one)]
        return len(stored) + len(finished), continuing

    def _prepare(
        self, states: Sequence[TenantEnrolment], now_ms: int
    ) -> tuple[list[_DueCustomer], list[TenantEnrolment]]:
        """Load the due enrolments, and return separately those whose journey has ended or cannot be read."""
        plans: dict[str, JourneyPlan] = {}
        others: list[TenantEnrolment] = []
        by_tenant: defaultdict[str, list[TenantEnrolment]] = defaultdict(list)
        for one in states:
            state = one.enrolment
            try:
                if (one.tenant_id, state.journey_id) in self._cache.ended:
                    others.append(_build_next_version(one, leave(state, now_ms, "the journey has ended")))
                    continue
                plans[state.id] = self._cache.load_plan(one.tenant_id, state.journey_id, state.journey_version)
            except NoJourneyError as error:
                others.append(_build_next_version(one, fail(state, now_ms, str(error))))
                continue
            by_tenant[one.tenant_id].append(one)
        due_customers: list[_DueCustomer] = []
        left = [(tenant_id, mine) for tenant_id, mine in by_tenant.items() if tenant_id in self._cache.tenants]
        while left:  # enrolments of inactive tenants wait: the tenant may be activated again
            tenant_id, mine = left.pop()
            try:
                due_customers += self._load_due_customers(tenant_id, mine, plans, now_ms)
            except Exception as error:
                if len(mine) > 1:  # find the faulty enrolment by bisection
                    middle = len(mine) // 2
                    left += [(tenant_id, mine[:middle]), (tenant_id, mine[middle:])]
                elif _is_away(error):
                    raise
                else:
                    others.append(_postpone(mine[0], now_ms, error))
        return due_customers, others

    def _load_due_customers(
        self, tenant_id: str, mine: Sequence[TenantEnrolment], plans: Mapping[str, JourneyPlan], now_ms: int
    ) -> list[_DueCustomer]:
        config = self._cache.load_configuration(tenant_id)
        metrics = {key for one in mine for key in plans[one.enrolment.id].metrics}
        customers = {one.enrolment.customer_id for one in mine}
        facts = load_facts(self._store, config.tenant, config.catalogue, customers, metrics, now_ms)
        return [
            _DueCustomer(
                enrolment=one, plan=plans[one.enrolment.id], config=config, facts=facts[one.enrolment.customer_id]
            )
            for one in mine
        ]

    async def _act(self, pending: Sequence[_PendingEffect]) -> list[TenantEnrolment]:
        """Carry out effects; return the states after them. Failed ones are postponed, unless a server is unavailable.

        Raises:
            StorageError: All effects fail because ClickHouse or Kafka is unavailable, the first because of ClickHouse.
            KafkaError: Likewise, the first because of Kafka.
        """
        slots = asyncio.Semaphore(AT_ONCE)

        async def act(one: _PendingEffect) -> TenantEnrolment:
            async with slots:
                return _build_next_version(one.state, await self._carry_out(one.due, one.state.enrolment, one.action))

        found = await asyncio.gather(*map(act, pending), return_exceptions=True)
        states: list[TenantEnrolment] = []
        errors: list[Exception] = []
        for one, after in zip(pending, found, strict=True):
            if isinstance(after, TenantEnrolment):
                states.append(after)
            elif isinstance(after, Exception):
                errors.append(after)
                states.append(_postpone(one.state, self._clock(), after))
            else:
                raise after
        if errors and len(errors) == len(pending) and all(map(_is_away, errors)):
            raise errors[0]
        return states

    async def _carry_out(self, due: _DueCustomer, state: Enrolment, action: Action) -> Enrolment:
        """Carry out one effect; return the state after it."""
        chosen: Sequence[Mapping[str, Any]] | None = None
        try:
            if isinstance(action, DecideAction):
                chosen = await self._decide(due, state, action)
            elif isinstance(action, SendAction):
                await self._contact(due, state, action)
            else:
                await asyncio.to_thread(update_customer, self._store, due.config, state, action)
        except StepError as error:
            log.warning(
                "a step of a journey cannot be done", journey_id=state.journey_id, step=state.step, why=str(error)
            )
            return fail(state, self._clock(), str(error))
        return complete(due.plan, state, self._clock(), chosen=chosen)

    async def _decide(self, due: _DueCustomer, state: Enrolment, action: DecideAction) -> Sequence[Mapping[str, Any]]:
        """Make a decision, and have it recorded before the journey continues with it."""
        positions, context = self._positions(), build_journey_context(state)
        record = await asyncio.to_thread(
            decide_offers, self._store, due.config, state.customer_id, action, self._clock(), context, positions
        )
        await self._send(build_decision_message(due.config, state, record))
        return [{**offer, "recommendationId": record.recommendation_id} for offer in list_offers(record)]

    async def _contact(self, due: _DueCustomer, state: Enrolment, action: SendAction) -> None:
        event = build_contact_event(due.config, state, action)
        restriction = await asyncio.to_thread(find_contact_restriction, self._store, due.config, event)
        if restriction:
            log.info("a contact is left out", journey_id=state.journey_id, step=state.step, why=restriction)
        else:
            await self._send(Message(make_message_key(event.tenant_id, event.customer_id), encode_event(event)))


def _build_next_version(enrolment: TenantEnrolment, state: Enrolment) -> TenantEnrolment:
    """Return the version after the one that was read."""
    return enrolment._replace(enrolment=replace(state, version=enrolment.enrolment.version + 1))


def _postpone(enrolment: TenantEnrolment, now_ms: int, error: Exception) -> TenantEnrolment:
    """Return the version after one whose step has failed unexpectedly."""
    state = enrolment.enrolment
    log.warning(
        "a step of a journey failed; it is tried again",
        tenant_id=enrolment.tenant_id,
        journey_id=state.journey_id,
        enrolment_id=state.id,
        step=state.step,
        error=repr(error)[:500],
    )
    reason = f"step {state.step!r} failed unexpectedly ({type(error).__name__}) and is tried again"
    return _build_next_version(enrolment, postpone(state, now_ms, reason))


def _can_continue(one: TenantEnrolment) -> bool:
    return one.enrolment.status is EnrolmentStatus.ACTIVE and not one.enrolment.setbacks


def _is_away(error: Exception) -> bool:
    """Return whether an error says that ClickHouse or Kafka is unavailable, which is not the enrolment's fault."""
    is_kafka_away = isinstance(error, KafkaError) and bool(error.retriable)
    return is_kafka_away or is_store_away(error) or isinstance(error, OSError)
