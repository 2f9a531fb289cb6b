"""``/api/v1/customers/{customerId}``: attributes of one customer."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Controller, Request, Response, delete, get, patch, put
from litestar.params import FromPath, QueryParameter, RequestBody
from msgspec import Meta

from api.auth.principal import Principal, requires
from api.catalogue.bodies import expected_version
from api.customers.schemas import (
    EXAMPLE,
    PAGE_EXAMPLE,
    CustomerBody,
    CustomerPage,
    CustomerPatch,
    CustomerView,
    build_view,
)
from api.customers.service import CustomerChange, CustomerService, etag_of
from api.http.areas import Injected
from api.http.bodies import JsonBody
from api.http.cursors import CursorParameter, Cursors, build_pagination
from api.http.errors import invalid
from api.http.openapi_responses import answers
from api.http.parameters import clamp
from rapport.domain.api_keys import Role
from rapport.domain.faults import Fault

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
_CURSORS: Final = Cursors[int](Annotated[int, Meta(ge=1, lt=1 << 32)])
"""Versions, which count down to 1."""
_Asking = Request[Principal, Any, Any]


class CustomerController(Controller):
    """Attributes of customers. Decisions know them as `customer.*`; the tenant's schemas say what they may hold."""

    path = "/customers/{customer_id:str}"
    tags = ["Customers"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "customers"}

    @get(summary="Get a customer", responses=answers(200, CustomerView, EXAMPLE, 404))
    async def get_customer(
        self, request: _Asking, customers: Injected[CustomerService], customer_id: FromPath[str]
    ) -> Response[CustomerView]:
        """Get a customer. `ETag` is the version; send it as `If-Match` with a change."""
        tenant_id = request.user.tenant_id
        found = await customers.find(tenant_id, customer_id)
        return Response(build_view(tenant_id, found), headers={"ETag": etag_of(found)})

    @get(
        "/versions",
        summary="Every version of a customer, the newest first",
        responses=answers(200, CustomerPage, PAGE_EXAMPLE, 404),
    )
    async def list_versions(
        self,
        request: _Asking,
        customers: Injected[CustomerService],
        customer_id: FromPath[str],
        limit: Annotated[
            int, QueryParameter(description=f"Rows of a page; brought into 1 to {MAX_LIMIT}.")
        ] = DEFAULT_LIMIT,
        cursor: CursorParameter = None,
    ) -> CustomerPage:
        """List versions, also of a customer who has ended. Erasure removes them."""
        faults: list[Fault] = []
        before_version = _CURSORS.read(cursor, faults) or 0
        if faults:
            raise invalid(*faults)
        tenant_id, limit = request.user.tenant_id, clamp(limit, 1, MAX_LIMIT)
        versions, total = await customers.load_versions(
            tenant_id, customer_id, before_version=before_version, limit=limit
        )
        following = _CURSORS.write(versions[-1].version) if versions and versions[-1].version > 1 else None
        return CustomerPage(
            data=[build_view(tenant_id, one) for one in versions],
            pagination=build_pagination(total, limit, following),
        )

    @put(
        dto=JsonBody[CustomerBody],
        return_dto=None,
        guards=[requires(Role.EDITOR)],
        summary="Replace a customer",
        responses={
            **answers(200, CustomerView, EXAMPLE, 400, 409, 413, 415),
            **answers(201, CustomerView, EXAMPLE, 400, 409, 413, 415),
        },
    )
    async def replace(
        self,
        request: _Asking,
        customers: Injected[CustomerService],
        customer_id: FromPath[str],
        data: RequestBody[CustomerBody],
    ) -> Response[CustomerView]:
        """Replace a customer: attributes not given are removed, or take their defaults. 201 if the customer is new."""
        return await _save(request, customers, customer_id, data, replaces=True)

    @patch(
        dto=CustomerPatch,
        return_dto=None,
        guards=[requires(Role.EDITOR)],
        summary="Change some attributes of a customer",
        responses=answers(200, CustomerView, EXAMPLE, 400, 404, 409, 413, 415),
    )
    async def change(
        self,
        request: _Asking,
        customers: Injected[CustomerService],
        customer_id: FromPath[str],
        data: RequestBody[CustomerBody],
    ) -> Response[CustomerView]:
        """Change attributes; those not given stay, and null removes one."""
        return await _save(request, customers, customer_id, data, replaces=False)

    @delete(
        guards=[requires(Role.EDITOR)],
        summary="End a customer",
        responses=answers(204, None, None, 404, 409),
    )
    async def end_customer(
        self, request: _Asking, customers: Injected[CustomerService], customer_id: FromPath[str]
    ) -> None:
        """End a customer, whom decisions then do not know any more. The versions stay: this is no erasure."""
        expected = expected_version(request.headers.get("if-match"), {})
        await customers.end(request.user, customer_id, expected)


async def _save(
    request: _Asking, customers: CustomerService, customer_id: str, data: CustomerBody, *, replaces: bool
) -> Response[CustomerView]:
    given = {} if data.version is None else {"version": data.version}
    expected = expected_version(request.headers.get("if-match"), given)
    wanted = CustomerChange(customer_id, data.attributes, replaces, expected)
    stored, is_new = await customers.save(request.user, wanted)
    view = build_view(request.user.tenant_id, stored)
    return Response(view, status_code=201 if is_new else 200, headers={"ETag": etag_of(stored)})
