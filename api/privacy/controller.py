"""``/api/v1/gdpr/erasure`` and ``/api/v1/dsar``: erasure, and requests of customers about their data."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath, QueryParameter, RequestBody
from litestar.response import Stream

from api.auth.principal import Principal, requires
from api.http.areas import Injected
from api.http.bodies import JsonBody
from api.http.errors import ApiError
from api.http.openapi_responses import answers
from api.http.parameters import clamp
from api.privacy.dsar import DsarService
from api.privacy.erasure import ErasureService
from api.privacy.schemas import (
    DsarBody,
    DsarDetail,
    DsarList,
    ErasureBody,
    ErasureView,
    QueuedView,
    ReceiptView,
    count_rows,
    dsar_detail,
    dsar_view,
    erasure_view,
    receipt_view,
)
from rapport.domain.api_keys import Role
from rapport.storage.dsar import DsarRequest, Status

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
_Asking = Request[Principal, Any, Any]
_COUNTS: Final = count_rows({"interactions": 41, "interaction_summaries": 28, "event_claims": 41})
_TIMES: Final = {"erasedAt": "2026-03-15T14:30:00.000Z", "completedAt": "2026-03-15T14:30:07.412Z"}
_ERASED: Final[Mapping[str, object]] = {
    "success": True,
    "customerId": "customer-42",
    "receiptId": "era-7f9c2ba4e88f827d616045507605853e",
    "deletedCounts": _COUNTS,
    "totalDeleted": 110,
    "nothingFound": False,
    "verified": True,
    **_TIMES,
}
_RECEIPT: Final[Mapping[str, object]] = {
    "receiptId": "era-7f9c2ba4e88f827d616045507605853e",
    "customerHashes": ["2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"],
    "deletedCounts": _COUNTS,
    "totalDeleted": 110,
    "nothingFound": False,
    "verified": True,
    **_TIMES,
    "requestedBy": "key-1",
}
_REQUEST: Final[Mapping[str, object]] = {
    "id": "dsar-7f9c2ba4e88f827d616045507605853e",
    "tenantId": "t_001",
    "requestType": "export",
    "subjectId": "customer-42",
    "subjectType": "customer_id",
    "requestedBy": "key-1",
    "status": "completed",
    "requestedAt": "2026-03-15T14:30:00.000Z",
    "completedAt": "2026-03-15T14:30:01.120Z",
}


class ErasureController(Controller):
    """Erasing customers for good."""

    path = "/gdpr/erasure"
    tags = ["Privacy"]
    guards = [requires(Role.ADMIN)]
    opt = {"scope": "privacy"}

    @post(
        dto=JsonBody[ErasureBody],
        return_dto=None,
        status_code=200,
        summary="Erase a customer",
        responses=answers(200, ErasureView, _ERASED, 413, 415),
    )
    async def erase_customer(
        self, request: _Asking, erasure: Injected[ErasureService], data: RequestBody[ErasureBody]
    ) -> ErasureView:
        """Erase a customer from every table, cache and replay, with all customers merged with it. Takes some seconds.

        A repetition does no harm. Events of the customer that Kafka receives afterwards count as those of a new one.
        """
        receipt = await erasure.erase(request.user.tenant_id, data.customer_id, request.user.key_id or "trusted")
        return erasure_view(data.customer_id, receipt)

    @get(
        "/{receipt_id:str}",
        summary="Get the receipt of an erasure",
        responses=answers(200, ReceiptView, _RECEIPT, 404),
    )
    async def get_receipt(
        self, request: _Asking, erasure: Injected[ErasureService], receipt_id: FromPath[str]
    ) -> ReceiptView:
        """Get the counts of deleted rows, and the customers by hash only."""
        receipt = await erasure.find_receipt(request.user.tenant_id, receipt_id)
        if receipt is None:
            raise ApiError(404, f"There is no receipt {receipt_id!r}.")
        return receipt_view(receipt)


class DsarController(Controller):
    """Requests of customers about their data: a copy of it, or its erasure."""

    path = "/dsar"
    tags = ["Privacy"]
    guards = [requires(Role.ADMIN)]
    opt = {"scope": "privacy"}

    @post(
        dto=JsonBody[DsarBody],
        return_dto=None,
        status_code=202,
        summary="Hand in a request of a customer",
        responses=answers(202, QueuedView, {"requestId": _REQUEST["id"], "status": "queued"}, 413, 415),
    )
    async def hand_in(
        self, request: _Asking, data_requests: Injected[DsarService], data: RequestBody[DsarBody]
    ) -> QueuedView:
        """Hand in a request. It is worked on in the background, and survives any crash. At most ten a minute."""
        queued = DsarRequest(
            tenant_id=request.user.tenant_id,
            request_id=f"dsar-{uuid.uuid4().hex}",
            request_type=data.request_type,
            subject_id=data.subject_id,
            subject_type=data.subject_type,
            requested_by=request.user.key_id or "trusted",
            requested_at_ms=data_requests.clock(),
        )
        await data_requests.hand_in(queued)
        return QueuedView(request_id=queued.request_id)

    @get(
        summary="List requests of customers",
        responses=answers(200, DsarList, {"requests": [_REQUEST], "count": 1}),
    )
    async def list_all(
        self,
        request: _Asking,
        data_requests: Injected[DsarService],
        status: Annotated[Status | None, QueryParameter(description="Only those with this status.")] = None,
        request_type: Annotated[
            Literal["export", "delete"] | None,
            QueryParameter(name="requestType", description="Only those of this type."),
        ] = None,
        limit: Annotated[
            int, QueryParameter(description=f"Requests of a page; brought into 1 to {MAX_LIMIT}.")
        ] = DEFAULT_LIMIT,
    ) -> DsarList:
        """List requests, the newest first, without their results."""
        found = await data_requests.list_all(
            request.user.tenant_id,
            status=status or "",
            request_type=request_type or "",
            limit=clamp(limit, 1, MAX_LIMIT),
        )
        return DsarList(requests=[dsar_view(one) for one in found], count=len(found))

    @get(
        "/{request_id:str}",
        summary="Get a request of a customer, with what it came to",
        responses=answers(
            200, DsarDetail, {**_REQUEST, "result": {"interactions": [{"id": "01J"}]}, "nothingFound": False}, 404
        ),
    )
    async def get_request(
        self, request: _Asking, data_requests: Injected[DsarService], request_id: FromPath[str]
    ) -> Response[DsarDetail] | Stream:
        """Get a request. An export holds every row that names the customer; a large one comes in pieces."""
        found = await data_requests.find(request.user.tenant_id, request_id)
        if found is None:
            raise ApiError(404, f"There is no request {request_id!r}.")
        if found.request_type == "export" and found.status == "completed" and not found.result:
            return Stream(data_requests.stream_export(found), media_type="application/json")
        return Response(dsar_detail(found, await data_requests.find_receipt(found)))
