"""``/api/v1/interactions``: many events at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from litestar import Controller, Request, Response, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Schema
from litestar.params import QueryParameter

from api.auth.principal import Principal, requires
from api.http.areas import Injected
from api.http.bulk import bulk_operation
from api.http.openapi_responses import answers
from api.ingest.schemas import IngestResult
from api.ingest.service import IngestService
from api.runtime.bulk_reader import MAX_ROWS
from rapport.domain.api_keys import Role
from rapport.domain.contract import build_event_schema

_EXAMPLE: Final[Mapping[str, object]] = {"accepted": 2, "rejected": 0, "position": "0:17,2:1042", "errors": []}
_EVENT: Final[Mapping[str, object]] = {
    "customerId": "CUST001",
    "outcome": "click",
    "idempotencyKey": "mail-42-click",
    "creativeId": "cr_001",
    "channelId": "ch_email",
}
_BAD: Final[Mapping[str, object]] = {
    "accepted": 1,
    "rejected": 1,
    "position": "2:1042",
    "errors": [{"field": "outcome", "message": "'clicked' is not one of the tenant's outcome types", "index": 1}],
}
_RESPONSES: Final[Mapping[int, ResponseSpec]] = {
    **answers(201, IngestResult, _EXAMPLE, 400, 413, 415),
    **answers(207, IngestResult, _BAD),
}


def _item_schema() -> Schema:
    """Describe an event as the contract does, without the tenant, which the key determines."""
    fields = build_event_schema("interaction.recorded.v1")
    names = [name for name in fields["required"] if name != "tenantId"]
    return Schema(
        type="object",  # type: ignore[arg-type]
        description="An event of the contract `interaction.recorded.v1`; the tenant is the API key's.",
        required=names,
        properties={name: Schema(type="string") for name in names},  # type: ignore[arg-type]
        examples=[dict(_EVENT)],
    )


class IngestController(Controller):
    """Events that producers otherwise write to Kafka."""

    path = "/interactions"
    tags = ["Writing"]
    guards = [requires(Role.EDITOR)]
    opt = {"scope": "interactions"}

    @post(
        summary="Record many interactions",
        operation_class=bulk_operation(_item_schema(), "event", MAX_ROWS),
        request_max_body_size=None,  # counted while it is read, against a limit of its own
        responses=_RESPONSES,
    )
    async def ingest(
        self,
        request: Request[Principal, Any, Any],
        ingest: Injected[IngestService],
        *,
        atomic: Annotated[
            bool, QueryParameter(description="Whether nothing is recorded if anything is wrong with any event.")
        ] = False,
    ) -> Response[IngestResult]:
        """Record a JSON array, or one JSON object a line (`application/x-ndjson`); up to 10,000 events and 10 MB.

        201: all are in Kafka. 207: `errors` says which are not, and why. 400: none is. Each event needs its own
        `idempotencyKey`: sent again it counts once.
        """
        content_type = request.headers.get("content-type", "application/json")
        reader = await ingest.read(request.user.tenant_id, content_type, request.stream())
        done = await ingest.ingest(reader.require_rows(is_atomic=atomic), reader.faults)
        return Response(done, status_code=207 if reader.faults else 201, headers={"X-Position": done.position})
