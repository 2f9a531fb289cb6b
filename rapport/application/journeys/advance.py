"""Moves customers on in their journeys, many at a time.

A round moves everybody on to where there is something to do, writes that down, does it, and writes down that it is
done; rounds follow each other until nothing is left. What another worker has written first, it has done: its customers
are left to it.
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
from rapport.domain.events import Message, encode_event, message_key
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
"""Of one look; the next one goes on."""
AT_ONCE: Final = 8
"""Effects that are seen to at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _DueCustomer:
    """A customer whose turn it is.

    Attributes:
        known: Of the tenant.
        facts: Of the customer.
    """

    enrolled: TenantEnrolment
    plan: JourneyPlan
    known: TenantConfiguration
    facts: JourneyFacts


class _PendingEffect(NamedTuple):
    """What is to be done for a customer, who stands at the step by then."""

    turn: _DueCustomer
    state: TenantEnrolment
    action: Action


class JourneyAdvancer:
    """Moves customers on.

    Args:
        store: Where enrolments are.
        known: Journeys and catalogues.
        send: Puts a message into the stream and returns when Kafka has it.
        positions: By partition: everything before this offset has been recorded.
        clock: Epoch milliseconds.
    """

    def __init__(
        self,
        store: Store,
        known: JourneyCache,
        send: Callable[[Message], Awaitable[None]],
        positions: Callable[[], Mapping[str, int]],
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._known = known
        self._send = send
        self._positions = positions
        self._clock = clock

    async def move(self, due: Sequence[TenantEnrolment]) -> int:
        """Move customers on as far as that goes now.

        What cannot be done because ClickHouse or Kafka is away is left for the next look; what fails otherwise is put
        off, longer each time, and its enrolment says so. Nobody else waits for it.

        Returns:
            How many states were written.

        Raises:
            StorageError: ClickHouse does not answer, or refuses.
            KafkaError: Kafka does not take what is sent. What was done until then is written down.
        """
        moved, left = 0, list(due)
        for _ in range(MAX_ROUNDS):
            if not left:
                break
            written, left = await self._round(left)
            moved += written
        return moved

    async def _round(self, states: Sequence[TenantEnrolment]) -> tuple[int, list[TenantEnrolment]]:
        """Returns how many states were written, and who can go on at once."""
        now_ms = self._clock()
        turns, changed = await asyncio.to_thread(self._prepare, states, now_ms)
        asked: dict[str, _PendingEffect] = {}
        for turn in take_turns(turns, lambda turn: turn.enrolled.tenant_id):
            before = turn.enrolled.enrollment
            try:
                after, actions = advance(turn.plan, before, turn.facts, now_ms)
            except Exception as error:  # noqa: BLE001 - whatever it is, others go on
                changed.append(_postpone(turn.enrolled, now_ms, error))
                continue
            state = turn.enrolled if after == before else _build_next_version(turn.enrolled, after)
            if after != before:
                changed.append(state)
            for action in actions:
                asked[after.id] = _PendingEffect(turn, state, action)
        won = await asyncio.to_thread(append_enrolments, self._store, changed)
        lost = {one.enrollment.id for one in changed} - won
        done = await self._act([one for name, one in asked.items() if name not in lost])
        finished = await asyncio.to_thread(append_enrolments, self._store, done)
        going_on = [one for one in done if one.enrollment.id in finished and _can_continue(one)]
        return len(won) + len(finished), going_on

    def _prepare(
        self, states: Sequence[TenantEnrolment], now_ms: int
    ) -> tuple[list[_DueCustomer], list[TenantEnrolment]]:
        """Everybody whose turn it is, and the others: what their journey needs is not there, or cannot be read."""
        plans: dict[str, JourneyPlan] = {}
        others: list[TenantEnrolment] = []
        by_tenant: defaultdict[str, list[TenantEnrolment]] = defaultdict(list)
        for one in states:
            state = one.enrollment
            try:
                if (one.tenant_id, state.journey_id) in self._known.ended:
                    others.append(_build_next_version(one, leave(state, now_ms, "the journey has ended")))
                    continue
                plans[state.id] = self._known.plan_of(one.tenant_id, state.journey_id, state.journey_version)
            except NoJourneyError as error:
                others.append(_build_next_version(one, fail(state, now_ms, str(error))))
                continue
            by_tenant[one.tenant_id].append(one)
        turns: list[_DueCustomer] = []
        left = [(tenant_id, mine) for tenant_id, mine in by_tenant.items() if tenant_id in self._known.tenants]
        while left:  # who is of a tenant that is not active waits: it may be activated again
            tenant_id, mine = left.pop()
            try:
                turns += self._turns_of(tenant_id, mine, plans, now_ms)
            except Exception as error:
                if len(mine) > 1:  # find out whose fault it is
                    middle = len(mine) // 2
                    left += [(tenant_id, mine[:middle]), (tenant_id, mine[middle:])]
                elif _is_away(error):
                    raise
                else:
                    others.append(_postpone(mine[0], now_ms, error))
        return turns, others

    def _turns_of(
        self, tenant_id: str, mine: Sequence[TenantEnrolment], plans: Mapping[str, JourneyPlan], now_ms: int
    ) -> list[_DueCustomer]:
        known = self._known.configured(tenant_id)
        metrics = {key for one in mine for key in plans[one.enrollment.id].metrics}
        customers = {one.enrollment.customer_id for one in mine}
        facts = load_facts(self._store, known.tenant, known.catalogue, customers, metrics, now_ms)
        return [
            _DueCustomer(
                enrolled=one, plan=plans[one.enrollment.id], known=known, facts=facts[one.enrollment.customer_id]
            )
            for one in mine
        ]

    async def _act(self, asked: Sequence[_PendingEffect]) -> list[TenantEnrolment]:
        """See to effects; the states after them. What fails while something works is put off.

        Raises:
            StorageError: Nothing works, because ClickHouse does not answer.
            KafkaError: Or Kafka.
        """
        slots = asyncio.Semaphore(AT_ONCE)

        async def act(one: _PendingEffect) -> TenantEnrolment:
            async with slots:
                return _build_next_version(one.state, await self._done(one.turn, one.state.enrollment, one.action))

        found = await asyncio.gather(*map(act, asked), return_exceptions=True)
        states: list[TenantEnrolment] = []
        errors: list[Exception] = []
        for one, after in zip(asked, found, strict=True):
            if isinstance(after, TenantEnrolment):
                states.append(after)
            elif isinstance(after, Exception):
                errors.append(after)
                states.append(_postpone(one.state, self._clock(), after))
            else:
                raise after
        if errors and len(errors) == len(asked) and all(map(_is_away, errors)):
            raise errors[0]
        return states

    async def _done(self, turn: _DueCustomer, state: Enrolment, action: Action) -> Enrolment:
        """See to one effect; the state after it."""
        chosen: Sequence[Mapping[str, Any]] | None = None
        try:
            if isinstance(action, DecideAction):
                chosen = await self._decide(turn, state, action)
            elif isinstance(action, SendAction):
                await self._contact(turn, state, action)
            else:
                await asyncio.to_thread(update_customer, self._store, turn.known, state, action)
        except StepError as error:
            log.warning(
                "a step of a journey cannot be done", journey_id=state.journey_id, step=state.step, why=str(error)
            )
            return fail(state, self._clock(), str(error))
        return complete(turn.plan, state, self._clock(), chosen=chosen)

    async def _decide(self, turn: _DueCustomer, state: Enrolment, action: DecideAction) -> Sequence[Mapping[str, Any]]:
        """Decide, and have the decision recorded before the journey goes on with it."""
        at, place = self._positions(), build_journey_context(state)
        record = await asyncio.to_thread(
            decide_offers, self._store, turn.known, state.customer_id, action, self._clock(), place, at
        )
        await self._send(build_decision_message(turn.known, state, record))
        return [{**offer, "recommendationId": record.recommendation_id} for offer in list_offers(record)]

    async def _contact(self, turn: _DueCustomer, state: Enrolment, action: SendAction) -> None:
        event = build_contact_event(turn.known, state, action)
        why_not = await asyncio.to_thread(find_contact_restriction, self._store, turn.known, event)
        if why_not:
            log.info("a contact is left out", journey_id=state.journey_id, step=state.step, why=why_not)
        else:
            await self._send(Message(message_key(event.tenant_id, event.customer_id), encode_event(event)))


def _build_next_version(enrolled: TenantEnrolment, state: Enrolment) -> TenantEnrolment:
    """The version after the one that was read."""
    return enrolled._replace(enrollment=replace(state, version=enrolled.enrollment.version + 1))


def _postpone(enrolled: TenantEnrolment, now_ms: int, error: Exception) -> TenantEnrolment:
    """The version after one whose step has failed unexpectedly."""
    state = enrolled.enrollment
    log.warning(
        "a step of a journey failed; it is tried again",
        tenant_id=enrolled.tenant_id,
        journey_id=state.journey_id,
        enrollment_id=state.id,
        step=state.step,
        error=repr(error)[:500],
    )
    reason = f"step {state.step!r} failed unexpectedly ({type(error).__name__}) and is tried again"
    return _build_next_version(enrolled, postpone(state, now_ms, reason))


def _can_continue(one: TenantEnrolment) -> bool:
    return one.enrollment.status is EnrolmentStatus.ACTIVE and not one.enrollment.setbacks


def _is_away(error: Exception) -> bool:
    """Whether an error says that ClickHouse or Kafka is away, which is nobody's fault."""
    is_kafka_away = isinstance(error, KafkaError) and bool(error.retriable)
    return is_kafka_away or is_store_away(error) or isinstance(error, OSError)
