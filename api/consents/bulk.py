"""``/api/v1/consents``: consents of many customers, imported from other systems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Request, Response, post
from litestar.openapi.spec import Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import QueryParameter

from api.auth.principal import Principal, requires
from api.consents.schemas import IMPORTED_EXAMPLE, PURPOSE_PATTERN, ImportedView, RowBody
from api.consents.service import ConsentService, read_statement
from api.customers.body_rows import read_object, read_rows
from api.http.areas import Injected
from api.http.bodies import decode_or_faults, require_media_type
from api.http.bulk import CSV, NDJSON, bulk_operation
from api.http.errors import ApiError, Fault, invalid
from api.http.openapi_responses import answers
from api.ingest.body_items import bounded
from rapport.domain.api_keys import Role
from rapport.domain.faults import Fault as DomainFault
from rapport.domain.placeholders import explain_placeholder
from rapport.domain.profiles.consent import ConsentSource, ConsentStatus
from rapport.storage.consents import CustomerStatement

MAX_ROWS: Final = 10_000
_DONE: Final = {"recorded": 3, "rejected": 0, "errors": []}
_RESPONSES: Final = {
    **answers(200, ImportedView, _DONE, 400, 413, 415),
    **answers(207, ImportedView, IMPORTED_EXAMPLE),
}
_ROW: Final = {"customerId": "CUST001", "purpose": "email", "status": "granted", "statedAt": "2026-03-15T14:30:00Z"}


@dataclass(slots=True)
class StatementReader:
    """Checks statements one by one.

    Attributes:
        now_ms: Time of statements without one, epoch milliseconds.
        statements: Those that can be used.
        faults: Faults of the others.
        count: How many there were.
    """

    now_ms: int
    statements: list[CustomerStatement] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    count: int = 0

    def add(self, item: bytes) -> None:
        """Take one JSON object.

        Raises:
            ApiError: 413; there are too many.
        """
        self.take(read_object(item))

    def take(self, fields: Mapping[str, Any] | DomainFault) -> None:
        """Add the members of one object, or its fault.

        Raises:
            ApiError: 413; there are too many.
        """
        index, self.count = self.count, self.count + 1
        if index >= MAX_ROWS:
            raise ApiError(413, f"A request may have at most {MAX_ROWS:,} statements; send the rest with another one.")
        if isinstance(fields, DomainFault):
            self.faults.append(Fault(field=fields.field, message=fields.message, index=index))
            return
        row = decode_or_faults(msgspec.json.encode(fields), RowBody)
        if isinstance(row, list):
            self.faults += [Fault(field=one.field, message=one.message, index=index) for one in row]
            return
        if nobody := explain_placeholder(row.customer_id):
            self.faults.append(Fault(field="customerId", message=nobody, index=index))
            return
        statement = read_statement(row, ConsentSource.IMPORT, self.now_ms, "", self.faults, index)
        if statement is not None:
            self.statements.append(CustomerStatement(row.customer_id, statement))


_STATEMENT: Final = Schema(
    type="object",  # type: ignore[arg-type]
    description="What a customer says to one purpose.",
    required=["customerId", "purpose", "status"],
    properties={
        "customerId": Schema(type="string", min_length=1, max_length=256),  # type: ignore[arg-type]
        "purpose": Schema(type="string", pattern=PURPOSE_PATTERN),  # type: ignore[arg-type]
        "status": Schema(enum=[status.value for status in ConsentStatus]),
        "source": Schema(enum=[*(source.value for source in ConsentSource), None]),
        "statedAt": Schema(type=[OpenAPIType.STRING, OpenAPIType.INTEGER, OpenAPIType.NULL]),
    },
    examples=[dict(_ROW)],
)


class ConsentsController(Controller):
    """Many statements at once."""

    path = "/consents"
    tags = ["Customers"]
    guards = [requires(Role.EDITOR)]
    opt = {"scope": "customers"}

    @post(
        summary="Import what customers consent to",
        operation_class=bulk_operation(_STATEMENT, "statement", MAX_ROWS, has_table=True),
        status_code=200,
        request_max_body_size=None,  # counted while it is read, against a limit of its own
        responses=_RESPONSES,
    )
    async def import_consents(
        self,
        request: Request[Principal, Any, Any],
        consents: Injected[ConsentService],
        *,
        atomic: Annotated[
            bool, QueryParameter(description="Whether nothing is recorded if anything is wrong with any statement.")
        ] = False,
    ) -> Response[ImportedView]:
        """Import an array, one JSON object a line (`application/x-ndjson`), or a `text/csv` table; 10,000 rows, 10 MB.

        Of all statements about a purpose the latest counts, by `statedAt`: the order in which they are imported does
        not matter, and importing them again changes nothing.
        """
        given = request.headers.get("content-type", "application/json")
        media_type = require_media_type(given, "application/json", *NDJSON, CSV)
        reader = StatementReader(consents.clock())
        body = bounded(request.stream(), consents.max_body_bytes)
        await read_rows(request.user.tenant_id, body, media_type, reader)
        if not reader.count:
            raise ApiError(400, "The body has no statements.")
        if reader.faults and (atomic or not reader.statements):
            raise invalid(*reader.faults)
        await consents.import_statements(request.user, reader.statements)
        done = ImportedView(
            recorded=len(reader.statements),
            rejected=len({fault.index for fault in reader.faults}),
            errors=reader.faults,
        )
        return Response(done, status_code=207 if reader.faults else 200)
