"""``/api/v1/consents``: consents of many customers, imported from other systems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Request, Response, post
from litestar.openapi.spec import Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import QueryParameter

from api.auth.principal import Principal, requires
from api.consents.schemas import IMPORTED_EXAMPLE, PURPOSE_PATTERN, ImportedView, RowBody
from api.consents.service import ConsentService, read_statement
from api.http.areas import Injected
from api.http.bodies import decode_or_faults
from api.http.bulk import bulk_operation
from api.http.openapi_responses import answers
from api.runtime.bulk_reader import MAX_ROWS, make_object_reader
from rapport.domain.api_keys import Role
from rapport.domain.faults import Fault
from rapport.domain.placeholders import explain_placeholder
from rapport.domain.profiles.consent import ConsentSource, ConsentStatus
from rapport.storage.consents import CustomerStatement

_DONE: Final = {"recorded": 3, "rejected": 0, "errors": []}
_RESPONSES: Final = {
    **answers(200, ImportedView, _DONE, 400, 413, 415),
    **answers(207, ImportedView, IMPORTED_EXAMPLE),
}
_ROW: Final = {"customerId": "CUST001", "purpose": "email", "status": "granted", "statedAt": "2026-03-15T14:30:00Z"}


@dataclass(frozen=True, slots=True)
class StatementParser:
    """Parser of the statements of one request.

    Attributes:
        now_ms: Time of statements without one, epoch milliseconds.
    """

    now_ms: int

    def parse(self, _index: int, fields: Mapping[str, Any]) -> CustomerStatement | list[Fault]:
        """Parse one statement, or return its faults."""
        row = decode_or_faults(msgspec.json.encode(fields), RowBody)
        if isinstance(row, list):
            return row
        if nobody := explain_placeholder(row.customer_id):
            return [Fault(field="customerId", message=nobody)]
        faults: list[Fault] = []
        statement = read_statement(row, ConsentSource.IMPORT, self.now_ms, "", faults)
        return faults if statement is None else CustomerStatement(row.customer_id, statement)


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
        content_type = request.headers.get("content-type", "application/json")
        reader = make_object_reader("statements", StatementParser(consents.clock()).parse)
        await reader.read(request.user.tenant_id, content_type, request.stream(), consents.max_body_bytes)
        statements = reader.require_rows(is_atomic=atomic)
        await consents.import_statements(request.user, statements)
        done = ImportedView(recorded=len(statements), rejected=reader.rejected, errors=reader.faults)
        return Response(done, status_code=207 if reader.faults else 200)
