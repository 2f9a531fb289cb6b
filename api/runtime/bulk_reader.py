"""Reader of requests with many rows; faulty rows do not affect the others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

from api.http.bodies import require_media_type
from api.http.bulk import CSV, NDJSON
from api.http.errors import ApiError, invalid
from api.runtime.bulk_body import bounded, read_array, read_lines, read_table
from api.runtime.time_slice import TimeSlice
from rapport.domain.faults import Fault
from rapport.domain.json_limits import JsonFault, decode_json

T = TypeVar("T")
MAX_ROWS: Final = 10_000
MAX_ITEM_BYTES: Final = 1_048_576
_Row = bytes | Mapping[str, str] | Fault
"""A JSON item, the cells of a table's row by column, or the fault of one."""
ParseItem = Callable[[int, bytes], T | list[Fault]]
"""Parses a JSON item, given its position in the body from 0."""
ParseFields = Callable[[int, Mapping[str, Any]], T | list[Fault]]
"""Parses the members of a JSON object or the cells of a table's row, likewise."""


class BulkReader(Generic[T]):
    """Reads the rows of one request and yields to other requests meanwhile.

    Args:
        noun: Name of the rows, in the plural, for error texts.
        parse_item: Parses rows of JSON.
        parse_cells: Parses rows of tables; None where tables are not accepted.

    Attributes:
        rows: Those that can be used.
        faults: Faults of the others, each with the row's index.
        count: How many rows there were.
        media_type: Media type of the body; empty before it is read.
    """

    def __init__(self, noun: str, parse_item: ParseItem[T], parse_cells: ParseFields[T] | None = None) -> None:
        self._noun = noun
        self._parse_item = parse_item
        self._parse_cells = parse_cells
        self.rows: list[T] = []
        self.faults: list[Fault] = []
        self.count = 0
        self.media_type = ""

    @property
    def rejected(self) -> int:
        """Number of faulty rows."""
        return len({fault.index for fault in self.faults})

    async def read(self, tenant_id: str, content_type: str, chunks: AsyncIterator[bytes], max_bytes: int) -> None:
        """Read a body of a tenant.

        Raises:
            ApiError: 415; its media type is not accepted. 400; it is not what that says. 413; it is too large, or has
                too many rows.
        """
        accepted = ["application/json", *NDJSON, *([CSV] if self._parse_cells else [])]
        self.media_type = require_media_type(content_type, *accepted)
        time_slice = TimeSlice()
        async for row in _read_body(tenant_id, self.media_type, bounded(chunks, max_bytes)):
            self._take(row)
            if time_slice.is_over:
                await time_slice.yield_loop()

    def require_rows(self, *, is_atomic: bool) -> Sequence[T]:
        """Return the rows that can be used.

        Args:
            is_atomic: Whether one faulty row refuses the request.

        Raises:
            ApiError: 400; there are none.
        """
        if not self.count:
            raise ApiError(400, f"The body has no {self._noun}.")
        if self.faults and (is_atomic or not self.rows):
            raise invalid(*self.faults)
        return self.rows

    def _take(self, row: _Row) -> None:
        parsed: T | list[Fault] = []
        if isinstance(row, bytes):
            if not _has_content(row):
                return
            parsed = self._parse_item(self._next_index(), row)
        elif isinstance(row, Fault):
            self._next_index()
            parsed = [row]
        elif self._parse_cells is not None:
            parsed = self._parse_cells(self._next_index(), row)
        if isinstance(parsed, list):
            self.faults += [fault.at(self.count - 1) for fault in parsed]
        else:
            self.rows.append(parsed)

    def _next_index(self) -> int:
        """Count a row.

        Raises:
            ApiError: 413; there are too many.
        """
        if self.count >= MAX_ROWS:
            message = f"A request may have at most {MAX_ROWS:,} {self._noun}; send the rest with another one."
            raise ApiError(413, message)
        self.count += 1
        return self.count - 1


def _read_body(tenant_id: str, media_type: str, body: AsyncIterator[bytes]) -> AsyncIterator[_Row]:
    if media_type == CSV:
        return read_table(body)
    return read_lines(body) if media_type in NDJSON else read_array(tenant_id, body)


def _has_content(item: bytes) -> bool:
    if len(item) > MAX_ITEM_BYTES:
        raise ApiError(413, f"An item may have at most {MAX_ITEM_BYTES:,} bytes, not {len(item):,}.")
    return bool(item) and not item.isspace()


def make_object_reader(noun: str, parse_fields: ParseFields[T]) -> BulkReader[T]:
    """Make a reader of rows that come as JSON objects or as tables."""

    def parse_item(index: int, item: bytes) -> T | list[Fault]:
        fields = decode_json(item)
        if isinstance(fields, JsonFault):
            return [Fault(field=fields.field or "body", message=fields.message)]
        if not isinstance(fields, dict):
            return [Fault(field="body", message="must be a JSON object")]
        return parse_fields(index, fields)

    return BulkReader(noun, parse_item, parse_fields)
