"""Beside ``/api/v1/journeys``: enrolments of customers, and dry runs of a journey."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath, QueryParameter, RequestBody

from api.auth.principal import Principal, requires
from api.http.areas import Injected
from api.http.bodies import JsonBody
from api.http.errors import ApiError, invalid
from api.http.openapi_responses import answers
from api.http.parameters import check_choice, clamp
from api.journeys.schemas import (
    CustomerJourneys,
    EnrollmentPage,
    EnrollmentView,
    ExitReason,
    JourneyTrial,
    JourneyTrialResult,
    NewEnrollment,
    OffsetPagination,
    build_journey_view,
    build_view,
)
from api.journeys.service import JourneyService
from rapport.domain.api_keys import Role
from rapport.domain.catalogue.values import Status
from rapport.domain.faults import Fault
from rapport.domain.journeys.enrolment import EnrolmentStatus

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
MAX_OFFSET: Final = 1_000_000
_ENROLLMENT: Final[Mapping[str, object]] = {
    "id": "enr_2f6c1b1e0d9a4c772f6c1b1e0d9a4c77",
    "journeyId": "jrn_welcome",
    "journeyVersion": 3,
    "customerId": "cust_42",
    "status": "active",
    "currentStep": "pause",
    "enrolledAt": "2026-03-15T14:30:00.000Z",
    "nextAt": "2026-03-18T14:30:00.000Z",
    "completedAt": None,
    "entry": {"outcome": "convert", "value": 120.0},
    "results": {},
    "reason": "",
}
_PAGE: Final[Mapping[str, object]] = {
    "data": [_ENROLLMENT],
    "pagination": {"total": 1, "limit": DEFAULT_LIMIT, "offset": 0, "hasMore": False},
}
_TRIED: Final[Mapping[str, object]] = {
    "journeyId": "jrn_welcome",
    "journeyVersion": 3,
    "status": "completed",
    "steps": [
        {"stepId": "pause", "type": "wait", "at": "2026-03-15T14:30:00.000Z", "afterSeconds": 0.0, "effect": None},
        {
            "stepId": "choose",
            "type": "decide",
            "at": "2026-03-18T14:30:00.000Z",
            "afterSeconds": 259200.0,
            "effect": {"chosen": [{"rank": 1, "offerId": "off_abc123", "creativeId": "cr_001"}]},
        },
    ],
    "durationSeconds": 259200.0,
}
_OF_CUSTOMER: Final[Mapping[str, object]] = {
    "customerId": "cust_42",
    "data": [
        {
            "enrollmentId": "enr_2f6c1b1e0d9a4c772f6c1b1e0d9a4c77",
            "journeyId": "jrn_welcome",
            "journeyName": "Welcome",
            "status": "active",
            "currentStep": "pause",
            "enrolledAt": "2026-03-15T14:30:00.000Z",
            "completedAt": None,
        }
    ],
}
_Asking = Request[Principal, Any, Any]


class EnrollmentController(Controller):
    """Customers in journeys. The stream advances them."""

    tags = ["Journeys"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "journeys"}

    @get(
        "/journeys/{entity_id:str}/enrollments",
        summary="List the customers in a journey",
        responses=answers(200, EnrollmentPage, _PAGE, 404),
    )
    async def list_all(
        self,
        request: _Asking,
        journeys: Injected[JourneyService],
        entity_id: FromPath[str],
        status: Annotated[
            str | None, QueryParameter(description=f"{', '.join(EnrolmentStatus)}.", max_length=20)
        ] = None,
        customer_id: Annotated[
            str | None, QueryParameter(name="customerId", description="Of this customer.", max_length=256)
        ] = None,
        limit: Annotated[
            int, QueryParameter(description=f"Rows of a page; brought into 1 to {MAX_LIMIT}.")
        ] = DEFAULT_LIMIT,
        offset: Annotated[int, QueryParameter(description="Rows to leave out before it.")] = 0,
    ) -> EnrollmentPage:
        """List enrolments, the latest first."""
        tenant_id = request.user.tenant_id
        await journeys.find_plan(tenant_id, entity_id)
        faults: list[Fault] = []
        wanted = check_choice("status", status, tuple(EnrolmentStatus), faults)
        if faults:
            raise invalid(*faults)
        limit, offset = clamp(limit, 1, MAX_LIMIT), clamp(offset, 0, MAX_OFFSET)
        found, total = await journeys.list_enrolments(
            tenant_id,
            entity_id,
            limit=limit,
            offset=offset,
            customer_id=customer_id or "",
            status=wanted,
        )
        return EnrollmentPage(
            data=[build_view(one) for one in found],
            pagination=OffsetPagination(total=total, limit=limit, offset=offset, has_more=offset + len(found) < total),
        )

    @post(
        "/journeys/{entity_id:str}/enrollments",
        dto=JsonBody[NewEnrollment],
        return_dto=None,
        guards=[requires(Role.EDITOR)],
        summary="Have a customer enter a journey",
        responses={
            **answers(201, EnrollmentView, _ENROLLMENT, 404, 409, 413, 415),
            **answers(200, EnrollmentView, _ENROLLMENT),
        },
    )
    async def enroll(
        self,
        request: _Asking,
        journeys: Injected[JourneyService],
        entity_id: FromPath[str],
        data: RequestBody[NewEnrollment],
    ) -> Response[EnrollmentView]:
        """Enrol a customer. 200 with the existing enrolment for one in the journey, or who may not enter again."""
        tenant_id = request.user.tenant_id
        plan, status = await journeys.find_plan(tenant_id, entity_id)
        if status is not Status.ACTIVE:
            raise ApiError(409, f"Nobody can enter the journey {entity_id!r}: it is {status.value}.")
        found, is_new = await journeys.enter(tenant_id, plan, data)
        return Response(build_view(found), status_code=201 if is_new else 200)

    @post(
        "/journeys/{entity_id:str}/enrollments/{enrollment_id:str}/exit",
        dto=JsonBody[ExitReason],
        return_dto=None,
        status_code=200,
        guards=[requires(Role.EDITOR)],
        summary="Take a customer out of a journey",
        responses=answers(200, EnrollmentView, {**_ENROLLMENT, "status": "exited"}, 404, 409, 413, 415),
    )
    async def leave(
        self,
        request: _Asking,
        journeys: Injected[JourneyService],
        entity_id: FromPath[str],
        enrollment_id: FromPath[str],
        data: RequestBody[ExitReason],
    ) -> EnrollmentView:
        """Take a customer out; what has been sent stays sent. 409 if the enrolment has ended."""
        left = await journeys.take_out(request.user.tenant_id, entity_id, enrollment_id, data.reason)
        return build_view(left)

    @post(
        "/journeys/{entity_id:str}/test",
        dto=JsonBody[JourneyTrial],
        return_dto=None,
        status_code=200,
        summary="Try a journey out, without effects",
        responses=answers(200, JourneyTrialResult, _TRIED, 404, 409, 413, 415),
    )
    async def test(
        self,
        request: _Asking,
        journeys: Injected[JourneyService],
        entity_id: FromPath[str],
        data: RequestBody[JourneyTrial],
    ) -> JourneyTrialResult:
        """Try a journey of any status. Waits take no time, nothing is sent or written; decisions are made as of now."""
        tenant_id = request.user.tenant_id
        plan, _ = await journeys.find_plan(tenant_id, entity_id)
        return await journeys.try_out(tenant_id, plan, data)

    @get(
        "/customers/{customer_id:str}/journeys",
        summary="List the journeys of a customer",
        responses=answers(200, CustomerJourneys, _OF_CUSTOMER),
    )
    async def of_customer(
        self, request: _Asking, journeys: Injected[JourneyService], customer_id: FromPath[str]
    ) -> CustomerJourneys:
        """List active enrolments and those that have ended, the latest first."""
        found = await journeys.list_journeys(request.user.tenant_id, customer_id)
        return CustomerJourneys(customer_id=customer_id, data=[build_journey_view(one) for one in found])
