"""``/api/v1/respond``: responses of customers to what was shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from litestar import Controller, Request, Response, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, RequestBody

from api.auth.principal import Principal, requires
from api.http.areas import Injected
from api.http.bodies import JsonBody
from api.http.errors import invalid
from api.http.openapi_responses import answers
from api.respond.schemas import Acknowledgement, ResponseBody
from api.respond.service import RespondService
from rapport.domain.api_keys import Role
from rapport.domain.faults import Fault

MAX_KEY_LENGTH: Final = 256
_EXAMPLE: Final[Mapping[str, object]] = {
    "interactionId": "0199a1b2c3d40f1e2d3c4b000000002a00000",
    "duplicate": False,
    "position": "2:1042",
    "customerId": "CUST001",
    "outcome": "click",
    "offerId": "off_abc123",
    "creativeId": "cr_001",
    "channelId": "ch_email",
    "placementId": None,
    "recommendationId": None,
    "rank": None,
    "direction": "inbound",
    "timestamp": "2026-03-15T14:30:00.000Z",
    "warnings": [],
}
_RESPONSES: Final[Mapping[int, ResponseSpec]] = {
    **answers(201, Acknowledgement, _EXAMPLE, 400, 404, 409, 413, 415),
    **answers(200, Acknowledgement, {**_EXAMPLE, "duplicate": True}),
}


class RespondController(Controller):
    """Responses become part of the history and of the summaries, and count once each."""

    path = "/respond"
    tags = ["Writing"]
    guards = [requires(Role.EDITOR)]
    opt = {"scope": "respond"}

    @post(dto=JsonBody[ResponseBody], return_dto=None, summary="Record what a customer did", responses=_RESPONSES)
    async def respond(
        self,
        request: Request[Principal, Any, Any],
        responses: Injected[RespondService],
        data: RequestBody[ResponseBody],
        header_key: Annotated[
            str | None,
            HeaderParameter(name="Idempotency-Key", description="Instead of `idempotencyKey`; UTF-8."),
        ] = None,
    ) -> Response[Acknowledgement]:
        """Record a response. 201 means that Kafka has it on every in-sync replica.

        Sent again with the same key it is answered 200 with the first result and `duplicate: true`, and counts once;
        after a 503 sending it again is safe. What the catalogue does not know is recorded as given, with `warnings`.
        """
        done = await responses.respond(request.user.tenant_id, data, _find_key(data, header_key))
        headers = {"X-Position": done.position} if done.position else {}
        return Response(done, status_code=200 if done.duplicate else 201, headers=headers)


def _find_key(answer: ResponseBody, header_key: str | None) -> str:
    given = {key for key in (answer.idempotency_key, _decode_header(header_key)) if key}
    if not given:
        raise invalid(Fault(field="idempotencyKey", message="is required, here or in the header Idempotency-Key"))
    if len(given) > 1:
        raise invalid(
            Fault(field="Idempotency-Key", message="differs from the body's idempotencyKey; send one of them")
        )
    key = given.pop()
    if len(key) > MAX_KEY_LENGTH:
        raise invalid(Fault(field="Idempotency-Key", message=f"may have at most {MAX_KEY_LENGTH} characters"))
    return key


def _decode_header(header: str | None) -> str | None:
    """Read a header's bytes, which arrive one a character, as UTF-8; as Latin-1 only where they are not UTF-8."""
    if header is None or header.isascii():
        return header
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header
