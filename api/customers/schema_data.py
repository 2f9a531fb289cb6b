"""``/api/v1/schemas/{id}/data`` and ``/stats``: customers as the rows of a schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Request, get, post
from litestar.params import FromPath, QueryParameter, RequestBody

from api.auth.principal import Principal, requires
from api.customers.service import CustomerService
from api.http.areas import Injected
from api.http.bodies import Body, JsonBody
from api.http.errors import ApiError, invalid
from api.http.openapi_responses import answers
from api.http.parameters import clamp
from api.runtime.bulk_reader import MAX_ROWS
from rapport.domain.api_keys import Role
from rapport.domain.catalogue.customer_schema import CustomerSchema, DataType
from rapport.domain.faults import Fault
from rapport.domain.profiles.attributes import ID_NAMES, AttributeSchema
from rapport.domain.profiles.rows import CustomerRow, read_row
from rapport.storage.customer_upserts import UpsertOptions
from rapport.storage.schema_rows import FieldStats

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500
MAX_OFFSET: Final = 1_000_000_000
TABLE: Final = "customers"
_ROW: Final[Mapping[str, object]] = {"customer_id": "CUST001", "tier": "gold", "age": 33}
_Asking = Request[Principal, Any, Any]


class RowsBody(Body, frozen=True, kw_only=True):
    """Customers to be added.

    Attributes:
        rows: Each names the customer as ``customer_id`` and has attributes of the schema beside it.
    """

    rows: Annotated[Sequence[Mapping[str, Any]], msgspec.Meta(min_length=1, max_length=MAX_ROWS)]


class InsertResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Result of adding rows.

    Attributes:
        inserted: Customers who have the schema's attributes now.
        skipped: Customers who had some already, and stay as they are.
        table_name: Where analysts find them.
    """

    inserted: int
    skipped: int
    table_name: str = TABLE


class RowsPage(msgspec.Struct, frozen=True, kw_only=True):
    """Customers who have at least one of the schema's attributes."""

    total: int
    limit: int
    offset: int
    rows: Sequence[Mapping[str, Any]]


class ValueCount(msgspec.Struct, frozen=True, kw_only=True):
    """A value and how many customers have it."""

    value: Any
    count: int


class FieldStatsView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Statistics of one attribute.

    Attributes:
        count: How many have it.
        min: The least; null without any.
        avg: Null if it is no number.
        top_values: The ten most frequent ones.
    """

    name: str
    type: DataType
    count: int
    min: Any
    max: Any
    avg: float | None
    distinct_count: int
    top_values: Sequence[ValueCount]


class StatsView(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics of a schema's attributes, as of now."""

    fields: Sequence[FieldStatsView]


_PAGE: Final[Mapping[str, object]] = {"total": 1, "limit": DEFAULT_LIMIT, "offset": 0, "rows": [_ROW]}
_STATS: Final[Mapping[str, object]] = {
    "fields": [
        {
            "name": "age",
            "type": "number",
            "count": 1,
            "min": 33,
            "max": 33,
            "avg": 33.0,
            "distinctCount": 1,
            "topValues": [{"value": 33, "count": 1}],
        }
    ]
}


class SchemaDataController(Controller):
    """A schema's rows are the customers who have at least one of its attributes."""

    path = "/schemas/{schema_id:str}"
    tags = ["Customers"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "customers"}

    @post(
        "/data",
        dto=JsonBody[RowsBody],
        return_dto=None,
        guards=[requires(Role.EDITOR)],
        summary="Add customers by a schema",
        responses=answers(201, InsertResult, {"inserted": 1, "skipped": 0, "tableName": TABLE}, 400, 404, 413, 415),
    )
    async def add_rows(
        self,
        request: _Asking,
        customers: Injected[CustomerService],
        schema_id: FromPath[str],
        data: RequestBody[RowsBody],
    ) -> InsertResult:
        """Add all rows or none. A customer who has any of the schema's attributes already stays as is."""
        schemas = await customers.load_schemas(request.user.tenant_id)
        schema = _find(schemas, schema_id)
        rows = _read_rows(schema, data.rows)
        names = [one.name for one in schema.fields]
        way = UpsertOptions(is_atomic=True, unless_has=names)
        done = await customers.store_rows(request.user, AttributeSchema.from_schemas(schemas), rows, way)
        return InsertResult(inserted=done.created + done.changed, skipped=done.unchanged)

    @get("/data", summary="List customers by a schema", responses=answers(200, RowsPage, _PAGE, 404))
    async def list_rows(
        self,
        request: _Asking,
        customers: Injected[CustomerService],
        schema_id: FromPath[str],
        limit: Annotated[
            int, QueryParameter(description=f"Rows of a page; brought into 1 to {MAX_LIMIT}.")
        ] = DEFAULT_LIMIT,
        offset: Annotated[int, QueryParameter(description="Rows that are skipped.", ge=0, le=MAX_OFFSET)] = 0,
    ) -> RowsPage:
        """List rows in the order of their ids."""
        tenant_id, limit = request.user.tenant_id, clamp(limit, 1, MAX_LIMIT)
        schema = _find(await customers.load_schemas(tenant_id), schema_id)
        rows, total = await customers.list_rows(tenant_id, schema, limit=limit, offset=offset)
        shown = [{"customer_id": row.customer_id, **row.attributes} for row in rows]
        return RowsPage(total=total, limit=limit, offset=offset, rows=shown)

    @get("/stats", summary="Statistics of a schema's attributes", responses=answers(200, StatsView, _STATS, 404))
    async def show_stats(
        self, request: _Asking, customers: Injected[CustomerService], schema_id: FromPath[str]
    ) -> StatsView:
        """Compute statistics over all customers of the tenant."""
        tenant_id = request.user.tenant_id
        schema = _find(await customers.load_schemas(tenant_id), schema_id)
        found = await customers.read_stats(tenant_id, schema)
        return StatsView(fields=[_build_stats(one.name, one.data_type, found.get(one.name)) for one in schema.fields])


def _find(schemas: Sequence[CustomerSchema], schema_id: str) -> CustomerSchema:
    for schema in schemas:
        if schema_id in (schema.id, schema.key):
            return schema
    raise ApiError(404, f"There is no customer schema {schema_id[:256]!r}.")


def _read_rows(schema: CustomerSchema, given: Sequence[Mapping[str, Any]]) -> list[CustomerRow]:
    rows: list[CustomerRow] = []
    faults: list[Fault] = []
    known = {one.name for one in schema.fields}
    for index, fields in enumerate(given):
        row = read_row(index, fields)
        if isinstance(row, CustomerRow):
            rows.append(row)
        else:
            faults.append(row.at(index))
        others = sorted(fields.keys() - known - set(ID_NAMES))
        faults += [Fault(field=name[:100], message="is no field of the schema", index=index) for name in others]
    if faults:
        raise invalid(*faults)
    return rows


def _build_stats(name: str, data_type: DataType, found: FieldStats | None) -> FieldStatsView:
    if found is None:
        return FieldStatsView(
            name=name, type=data_type, count=0, min=None, max=None, avg=None, distinct_count=0, top_values=()
        )
    is_number = data_type == "number"
    return FieldStatsView(
        name=name,
        type=data_type,
        count=found.filled,
        min=found.least_number if is_number else msgspec.Raw(found.first_value.encode()),
        max=found.greatest_number if is_number else msgspec.Raw(found.last_value.encode()),
        avg=found.mean if is_number else None,
        distinct_count=found.distinct_count,
        top_values=[
            ValueCount(value=msgspec.Raw(value.encode()), count=count)
            for value, count in zip(found.top_values, found.top_counts, strict=True)
        ],
    )
