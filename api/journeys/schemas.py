"""Customers in journeys on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from api.http.bodies import Body
from api.http.times import iso, iso_or_none
from rapport.domain.journeys.enrolment import Enrolment, EnrolmentStatus
from rapport.storage.journeys import CustomerEnrolment

_Customer = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class EnrollmentView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A customer in a journey.

    Attributes:
        journey_version: Of the journey, which the customer stays with.
        current_step: Where the customer is; of an enrolment that ended, where that was.
        next_at: When there is something to do; null if it has ended.
        completed_at: When it ended, however it did.
        entry: The event by which the customer entered, or the given fields.
        results: Offers that decisions chose, by the names under which they are stored.
        reason: Why it ended, where that needs one.
    """

    id: str
    journey_id: str
    journey_version: int
    customer_id: str
    status: EnrolmentStatus
    current_step: str
    enrolled_at: str
    next_at: str | None
    completed_at: str | None
    entry: Mapping[str, Any]
    results: Mapping[str, Any]
    reason: str


class OffsetPagination(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Position of a page by offset."""

    total: int
    limit: int
    offset: int
    has_more: bool


class EnrollmentPage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of enrolments, the latest first."""

    data: Sequence[EnrollmentView]
    pagination: OffsetPagination


class JourneyOfCustomer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A journey that a customer is or was in."""

    enrollment_id: str
    journey_id: str
    journey_name: str
    status: EnrolmentStatus
    current_step: str
    enrolled_at: str
    completed_at: str | None


class CustomerJourneys(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All journeys of one customer, the latest first."""

    customer_id: str
    data: Sequence[JourneyOfCustomer]


class NewEnrollment(Body, frozen=True):
    """Customer to be enrolled.

    Attributes:
        entry: Fields that formulas name ``entry.*``.
        idempotency_key: For journeys that allow re-entry: a customer enters once with a key.
    """

    EXAMPLE: ClassVar = {"customerId": "cust_42", "entry": {"source": "call center"}}

    customer_id: _Customer
    entry: Mapping[str, Any] = {}
    idempotency_key: Annotated[str, msgspec.Meta(max_length=256)] = ""


class ExitReason(Body, frozen=True):
    """Reason for taking a customer out."""

    EXAMPLE: ClassVar = {"reason": "asked to"}

    reason: Annotated[str, msgspec.Meta(max_length=1_000)] = ""


class JourneyTrial(Body, frozen=True):
    """Customer and facts of a dry run.

    Attributes:
        customer_id: Customer with whose data decisions are made; without one they choose nothing.
        attributes: Replace stored attributes of the customer; segments and metrics do so, too.
        entry: Fields that formulas name ``entry.*``.
        decisions: Results of decide steps, by ``storeResultAs``, which are then not executed.
    """

    EXAMPLE: ClassVar = {"customerId": "cust_42", "attributes": {"tier": "gold"}, "entry": {"value": 120}}

    customer_id: _Customer | None = None
    attributes: Mapping[str, Any] = {}
    segments: Sequence[str] = ()
    metrics: Mapping[str, float] = {}
    entry: Mapping[str, Any] = {}
    decisions: Mapping[str, Sequence[Mapping[str, Any]]] = {}


class TrialStep(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A step that the customer would come to.

    Attributes:
        after_seconds: Since the entry.
        effect: Effect of the step: the chosen offers, the contact, the attributes; null for none.
    """

    step_id: str
    type: str
    at: str
    after_seconds: float
    effect: Mapping[str, Any] | None


class JourneyTrialResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Result of trying a journey.

    Attributes:
        status: How it would end; active if the end was not reached in 500 steps.
        duration_seconds: From the entry to the end, or to the last step.
    """

    journey_id: str
    journey_version: int
    status: EnrolmentStatus
    steps: Sequence[TrialStep]
    duration_seconds: float


def build_view(one: Enrolment) -> EnrollmentView:
    """Write an enrolment as answers show it."""
    return EnrollmentView(
        id=one.id,
        journey_id=one.journey_id,
        journey_version=one.journey_version,
        customer_id=one.customer_id,
        status=one.status,
        current_step=one.step,
        enrolled_at=iso(one.enrolled_at_ms),
        next_at=iso(one.due_at_ms) if one.status is EnrolmentStatus.ACTIVE else None,
        completed_at=iso_or_none(one.ended_at_ms),
        entry=one.entry,
        results=one.results,
        reason=one.reason,
    )


def build_journey_view(one: CustomerEnrolment) -> JourneyOfCustomer:
    """Write an enrolment as a customer's journeys show it."""
    return JourneyOfCustomer(
        enrollment_id=one.enrolment_id,
        journey_id=one.journey_id,
        journey_name=one.journey_name,
        status=one.status,
        current_step=one.current_step,
        enrolled_at=iso(one.enrolled_at_ms),
        completed_at=iso_or_none(one.completed_at_ms),
    )
