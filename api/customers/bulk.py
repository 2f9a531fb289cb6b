"""``/api/v1/customers``: many customers at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from litestar import Controller, Request, Response, post
from litestar.openapi.spec import Schema
from litestar.params import QueryParameter

from api.auth.principal import Principal, requires
from api.customers.schemas import UPSERTED_EXAMPLE, UpsertedView
from api.customers.service import CustomerService
from api.http.areas import Injected
from api.http.bulk import CSV, bulk_operation
from api.http.errors import invalid
from api.http.openapi_responses import answers
from api.http.parameters import check_choice
from api.runtime.bulk_reader import MAX_ROWS, BulkReader, make_object_reader
from rapport.domain.api_keys import Role
from rapport.domain.faults import Fault
from rapport.domain.profiles.rows import CustomerRow, read_row
from rapport.storage.customer_upserts import UpsertOptions, UpsertResult

_DONE: Final = {**UPSERTED_EXAMPLE, "received": 2, "rejected": 0, "errors": []}
_RESPONSES: Final = {
    **answers(200, UpsertedView, _DONE, 400, 413, 415),
    **answers(207, UpsertedView, UPSERTED_EXAMPLE),
}
_ROW: Final = {"customerId": "CUST001", "first_name": "Ann", "tier": "gold"}


_CUSTOMER: Final = Schema(
    type="object",  # type: ignore[arg-type]
    description="A customer: the id, and the attributes beside it or in `attributes`.",
    required=["customerId"],
    properties={
        "customerId": Schema(type="string", min_length=1, max_length=256),  # type: ignore[arg-type]
        "attributes": Schema(type="object"),  # type: ignore[arg-type]
    },
    examples=[dict(_ROW)],
)


class CustomersController(Controller):
    """Many customers at once."""

    path = "/customers"
    tags = ["Customers"]
    guards = [requires(Role.EDITOR)]
    opt = {"scope": "customers"}

    @post(
        summary="Store many customers",
        operation_class=bulk_operation(_CUSTOMER, "customer", MAX_ROWS, has_table=True),
        status_code=200,
        request_max_body_size=None,  # counted while it is read, against a limit of its own
        responses=_RESPONSES,
    )
    async def upsert(
        self,
        request: Request[Principal, Any, Any],
        customers: Injected[CustomerService],
        mode: Annotated[
            str | None,
            QueryParameter(
                description="merge: attributes that are not given stay; replace: they are taken away.  Default: merge."
            ),
        ] = None,
        *,
        atomic: Annotated[
            bool, QueryParameter(description="Whether nothing is stored if anything is wrong with any customer.")
        ] = False,
    ) -> Response[UpsertedView]:
        """Store an array, one JSON object a line (`application/x-ndjson`), or a `text/csv` table; 10,000 rows, 10 MB.

        200: all are stored. 207: `errors` says which are not, and why. 400: none is. Rows of one customer are applied
        in their order. Sending the request again changes nothing.
        """
        problems: list[Fault] = []
        mode = check_choice("mode", mode, ("merge", "replace"), problems)
        if problems:
            raise invalid(*problems)
        content_type = request.headers.get("content-type", "application/json")
        reader = make_object_reader("customers", _parse_row)
        await reader.read(request.user.tenant_id, content_type, request.stream(), customers.max_body_bytes)
        rows = reader.require_rows(is_atomic=atomic)
        form = await customers.load_form(request.user.tenant_id)
        way = UpsertOptions(replaces=mode == "replace", is_text=reader.media_type == CSV, is_atomic=atomic)
        view = _build_view(reader, await customers.store_rows(request.user, form, rows, way))
        if view.rejected == reader.count:
            raise invalid(*view.errors)
        return Response(view, status_code=207 if view.errors else 200)


def _parse_row(index: int, fields: Mapping[str, Any]) -> CustomerRow | list[Fault]:
    row = read_row(index, fields)
    return row if isinstance(row, CustomerRow) else [row]


def _build_view(reader: BulkReader[CustomerRow], done: UpsertResult) -> UpsertedView:
    faults = [*reader.faults, *(fault.at(index) for index, of_row in done.faults.items() for fault in of_row)]
    return UpsertedView(
        received=reader.count,
        created=done.created,
        changed=done.changed,
        unchanged=done.unchanged,
        rejected=len({fault.index for fault in faults}),
        errors=sorted(faults, key=lambda fault: fault.index or 0),
    )
