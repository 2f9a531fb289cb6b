"""Bodies of many rows: one JSON array, one JSON object a line, and for some a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from litestar.openapi.spec import OpenAPIMediaType, Operation, Schema
from litestar.openapi.spec import RequestBody as BodySpec

NDJSON: Final = ("application/x-ndjson", "application/ndjson", "application/jsonl")
CSV: Final = "text/csv"


def bulk_operation(row: Schema, name: str, most: int, *, has_table: bool = False) -> type[Operation]:
    """Describe, for ``operation_class=``, a body that is read while it arrives.

    Args:
        row: One of its rows.
        name: Name of a row, for people.
        most: How many there may be.
        has_table: Whether they may come as CSV too.
    """
    content = {
        "application/json": OpenAPIMediaType(schema=Schema(type="array", items=row, max_items=most)),  # type: ignore[arg-type]
        NDJSON[0]: OpenAPIMediaType(schema=Schema(type="string", description=f"One {name} a line.")),  # type: ignore[arg-type]
    }
    if has_table:
        described = "The first line names the columns."
        content[CSV] = OpenAPIMediaType(schema=Schema(type="string", description=described))  # type: ignore[arg-type]

    @dataclass
    class BulkOperation(Operation):
        def __post_init__(self) -> None:
            self.request_body = BodySpec(required=True, content=content)

    return BulkOperation
