"""Enrols customers in journeys, takes them out, and tries journeys out."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from msgspec.structs import replace as replaced

from api.http.errors import ApiError, invalid
from api.http.times import iso
from api.journeys.schemas import JourneyTrialResult, TrialStep
from rapport.application.journeys.effects import StepError, build_contact_event, decide_offers, list_offers
from rapport.application.journeys.journey_cache import TenantConfiguration
from rapport.application.journeys.load_facts import load_facts
from rapport.domain.catalogue.values import Status
from rapport.domain.faults import Fault
from rapport.domain.journeys.enrolment import Enrolment, EnrolmentStatus, make_enrolment_id
from rapport.domain.journeys.plan import compile_journey
from rapport.domain.journeys.progress import JourneyFacts, SendAction, UpdateAction, enrol, leave
from rapport.domain.journeys.simulate import SimulatedStep, simulate
from rapport.domain.placeholders import explain_placeholder
from rapport.domain.profiles.attributes import AttributeSchema
from rapport.storage.errors import TransientStorageError
from rapport.storage.identity import read_merges
from rapport.storage.journeys import (
    TenantEnrolment,
    append_enrolments,
    find_enrolment,
    list_customer_enrolments,
    list_enrolments,
)

if TYPE_CHECKING:
    from api.http.times import Clock
    from api.journeys.schemas import JourneyTrial, NewEnrollment
    from api.runtime.catalogue_cache import CompiledCatalogues
    from api.runtime.identity_cache import IdentityCache
    from api.runtime.tenant_cache import TenantCache
    from rapport.domain.journeys.definition import Journey
    from rapport.domain.journeys.plan import JourneyPlan
    from rapport.domain.journeys.progress import DecideAction
    from rapport.storage.client import Store
    from rapport.storage.database import Database
    from rapport.storage.journeys import CustomerEnrolment

MAX_ATTEMPTS: Final = 20


class JourneyService:
    """Enrolments of customers in journeys, and dry runs of journeys."""

    def __init__(
        self,
        database: Database,
        catalogues: CompiledCatalogues,
        tenants: TenantCache,
        identities: IdentityCache,
        clock: Clock,
    ) -> None:
        self._database = database
        self._catalogues = catalogues
        self._tenants = tenants
        self._identities = identities
        self._clock = clock

    async def find_plan(self, tenant_id: str, journey_id: str) -> tuple[JourneyPlan, Status]:
        """Return the plan of a journey, and its status.

        Raises:
            ApiError: 404; there is none.
        """
        record = (await self._catalogues.refresh(tenant_id)).find("journey", journey_id)
        if record is None or record.entity is None:
            raise ApiError(404, f"There is no journey {journey_id!r}.")
        return compile_journey(cast("Journey", record.entity), record.version), record.entity.status

    async def list_enrolments(
        self, tenant_id: str, journey_id: str, *, limit: int, offset: int, customer_id: str, status: str
    ) -> tuple[Sequence[Enrolment], int]:
        """List the enrolments in a journey, the latest first, and count all of them."""
        return await self._database.call(
            list_enrolments,
            tenant_id,
            journey_id,
            limit=limit,
            offset=offset,
            customer_id=customer_id,
            status=status,
        )

    async def enter(self, tenant_id: str, plan: JourneyPlan, wanted: NewEnrollment) -> tuple[Enrolment, bool]:
        """Have a customer enter a journey; see :func:`enter`."""
        return await self._database.call(enter, tenant_id, plan, wanted, self._clock())

    async def take_out(self, tenant_id: str, journey_id: str, enrollment: str, reason: str) -> Enrolment:
        """Take a customer out of a journey; see :func:`take_out`."""
        return await self._database.call(take_out, tenant_id, journey_id, enrollment, reason, self._clock())

    async def list_journeys(self, tenant_id: str, customer_id: str) -> Sequence[CustomerEnrolment]:
        """List the enrolments of a person, the latest first."""
        members = await self._identities.members(tenant_id, customer_id)
        return await self._database.call(list_customer_enrolments, tenant_id, members)

    async def try_out(self, tenant_id: str, plan: JourneyPlan, trial: JourneyTrial) -> JourneyTrialResult:
        """Try a journey out, without effects.

        Raises:
            ApiError: 409; a step cannot be done as things are configured.
        """
        tenant = await self._tenants.get(tenant_id)
        catalogue = await self._catalogues.of(tenant_id)
        creatives = {one.id: one for some in catalogue.creatives.values() for one in some}
        configured = TenantConfiguration(
            tenant=tenant, catalogue=catalogue, creatives=creatives, form=AttributeSchema()
        )
        try:
            return await self._database.call(_try_out, configured, plan, trial, self._clock())
        except StepError as error:
            raise ApiError(409, f"A step cannot be done: {error}.") from error


def enter(
    store: Store, tenant_id: str, plan: JourneyPlan, wanted: NewEnrollment, now_ms: int
) -> tuple[Enrolment, bool]:
    """Have a customer enter a journey, by the canonical id of the person.

    Returns:
        The enrolment, and whether it is new: a customer who is in the journey, or may not enter again, is not enrolled.
    """
    if nobody := explain_placeholder(wanted.customer_id):
        raise invalid(Fault(field="customerId", message=nobody))
    members = read_merges(store, tenant_id).members(wanted.customer_id)
    customer_id = members[0]
    status = EnrolmentStatus.ACTIVE.value if plan.allows_reentry else ""
    for member in members:
        known, _ = list_enrolments(store, tenant_id, plan.journey_id, limit=1, customer_id=member, status=status)
        if known:
            return known[0], False
    told_apart_by = f"api:{wanted.idempotency_key or secrets.token_hex(16)}" if plan.allows_reentry else ""
    name = make_enrolment_id(tenant_id, plan.journey_id, customer_id, told_apart_by)
    enrolled = enrol(plan, name, customer_id, wanted.entry, now_ms)
    if append_enrolments(store, [TenantEnrolment(tenant_id, enrolled)]):
        return enrolled, True
    found = find_enrolment(store, tenant_id, plan.journey_id, name)
    return found or enrolled, False


def take_out(store: Store, tenant_id: str, journey_id: str, enrollment: str, reason: str, now_ms: int) -> Enrolment:
    """Take a customer out of a journey.

    Raises:
        ApiError: 404; there is no such enrolment. 409; it has ended.
    """
    for _ in range(MAX_ATTEMPTS):
        found = find_enrolment(store, tenant_id, journey_id, enrollment)
        if found is None:
            raise ApiError(404, f"There is no enrollment {enrollment!r} in this journey.")
        if found.status is not EnrolmentStatus.ACTIVE:
            raise ApiError(409, f"The enrollment has ended: it is {found.status.value}.")
        after = _next(leave(found, now_ms, reason))
        if append_enrolments(store, [TenantEnrolment(tenant_id, after)]):
            return after
    raise TransientStorageError(f"the enrolment was moved on by others {MAX_ATTEMPTS} times in a row")


def _try_out(
    store: Store, known: TenantConfiguration, plan: JourneyPlan, trial: JourneyTrial, now_ms: int
) -> JourneyTrialResult:
    customer_id = trial.customer_id or ""

    def decided(action: DecideAction) -> Sequence[Mapping[str, Any]]:
        if action.config.store_result_as in trial.decisions:
            return trial.decisions[action.config.store_result_as]
        if trial.customer_id is None:
            return ()
        return list_offers(decide_offers(store, known, customer_id, action, now_ms, {}, {}))

    facts = JourneyFacts()
    if trial.customer_id is not None:
        facts = load_facts(store, known.tenant, known.catalogue, [customer_id], plan.metrics, now_ms)[customer_id]
    facts = replace(
        facts,
        attributes={**facts.attributes, **trial.attributes},
        segments=facts.segments | set(trial.segments),
        metrics={**facts.metrics, **trial.metrics},
    )
    steps, end = simulate(plan, customer_id, trial.entry, facts, decided, now_ms)
    last_ms = end.ended_at_ms or (steps[-1].at_ms if steps else now_ms)
    return JourneyTrialResult(
        journey_id=plan.journey_id,
        journey_version=plan.version,
        status=end.status,
        steps=[_tried(known, end, step, now_ms) for step in steps],
        duration_seconds=(last_ms - now_ms) / 1000,
    )


def _tried(known: TenantConfiguration, end: Enrolment, step: SimulatedStep, now_ms: int) -> TrialStep:
    effect: Mapping[str, Any] | None = None
    if isinstance(step.action, SendAction):
        event = build_contact_event(known, end, step.action)
        effect = {
            "outcome": event.outcome,
            "offerId": event.offer_id,
            "creativeId": event.creative_id,
            "channelId": event.channel_id,
        }
    elif isinstance(step.action, UpdateAction):
        effect = {"attributes": step.action.attributes}
    elif step.chosen is not None:
        effect = {"chosen": step.chosen}
    return TrialStep(
        step_id=step.step_id,
        type=step.type,
        at=iso(step.at_ms),
        after_seconds=(step.at_ms - now_ms) / 1000,
        effect=effect,
    )


def _next(state: Enrolment) -> Enrolment:
    return replaced(state, version=state.version + 1)
