"""``/api/v1/customers/{customerId}/consents``: consents of one customer."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, get, put
from litestar.params import FromPath, RequestBody

from api.auth.principal import Principal, requires
from api.consents.schemas import (
    EXAMPLE,
    HISTORY_EXAMPLE,
    ConsentsBody,
    ConsentsView,
    StatementsView,
    statement_view,
)
from api.consents.service import ConsentService
from api.http.areas import Injected
from api.http.bodies import JsonBody
from api.http.openapi_responses import answers
from rapport.domain.api_keys import Role

_Asking = Request[Principal, Any, Any]


class ConsentController(Controller):
    """Consents, which offers need: to marketing and, on some channels, to the channel's own purpose."""

    path = "/customers/{customer_id:str}/consents"
    tags = ["Customers"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "customers"}

    @get(summary="What a customer consents to", responses=answers(200, ConsentsView, EXAMPLE))
    async def get_consents(
        self, request: _Asking, consents: Injected[ConsentService], customer_id: FromPath[str]
    ) -> ConsentsView:
        """Get the consents of a customer, also of one who is not known."""
        return await consents.load(request.user.tenant_id, customer_id)

    @get(
        "/history",
        summary="History of a customer's consents",
        responses=answers(200, StatementsView, HISTORY_EXAMPLE),
    )
    async def list_statements(
        self, request: _Asking, consents: Injected[ConsentService], customer_id: FromPath[str]
    ) -> StatementsView:
        """List statements, the latest first; a thousand of them."""
        found = await consents.load_statements(request.user.tenant_id, customer_id)
        return StatementsView(customer_id=customer_id, statements=[statement_view(one) for one in found])

    @put(
        dto=JsonBody[ConsentsBody],
        return_dto=None,
        guards=[requires(Role.EDITOR)],
        summary="Record what a customer consents to",
        responses=answers(200, ConsentsView, EXAMPLE, 400, 413, 415),
    )
    async def record_consents(
        self,
        request: _Asking,
        consents: Injected[ConsentService],
        customer_id: FromPath[str],
        data: RequestBody[ConsentsBody],
    ) -> ConsentsView:
        """Record statements; purposes that are not named stay. The later of two about one counts, by `statedAt`."""
        await consents.record(request.user, customer_id, data.consents)
        return await consents.load(request.user.tenant_id, customer_id)
