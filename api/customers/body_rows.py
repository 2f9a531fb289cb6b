"""Reads the customers of a request while they arrive: JSON objects, or the rows of a CSV table."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from api.http.bulk import CSV, NDJSON
from api.http.errors import ApiError, Fault, invalid
from api.ingest.body_items import ItemReader, read_array, read_lines
from api.runtime.time_slice import TimeSlice
from rapport.application.imports.csv_records import CsvRecord, find_header_fault, read_records
from rapport.application.imports.feeds import LineFault
from rapport.domain.faults import Fault as DomainFault
from rapport.domain.json_limits import JsonFault, decode_json
from rapport.domain.profiles.attributes import ID_NAMES
from rapport.domain.profiles.rows import CustomerRow, read_row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

MAX_ROWS: Final = 10_000
MAX_COLUMNS: Final = 1_000
MAX_LINE: Final = 262_144


@dataclass(slots=True)
class RowReader:
    """Checks rows one by one.

    Attributes:
        rows: Those that name a customer; numbered from 0, as they came.
        faults: Faults of the others.
        count: How many there were.
    """

    rows: list[CustomerRow] = field(default_factory=list)
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
            raise ApiError(413, f"A request may have at most {MAX_ROWS:,} customers; send the rest with another one.")
        row = fields if isinstance(fields, DomainFault) else read_row(index, fields)
        if isinstance(row, CustomerRow):
            self.rows.append(row)
        else:
            self.faults.append(Fault(field=row.field, message=row.message, index=index))


class ObjectReader(Protocol):
    """Takes JSON objects, or the rows of a table, one by one.

    Attributes:
        count: How many there were.
    """

    count: int

    def take(self, fields: Mapping[str, Any] | DomainFault) -> None:
        """Add the members of one object, or its fault."""


class JsonReader(ObjectReader, ItemReader, Protocol):
    """Takes JSON items, or objects and table rows."""


def read_object(item: bytes) -> Mapping[str, Any] | DomainFault:
    """Read a JSON object."""
    fields = decode_json(item)
    if isinstance(fields, JsonFault):
        return DomainFault(fields.field or "body", fields.message)
    return fields if isinstance(fields, dict) else DomainFault("body", "must be a JSON object")


async def read_rows(tenant_id: str, chunks: AsyncIterator[bytes], media_type: str, reader: JsonReader) -> None:
    """Read a body of one of the media types that bulk routes take.

    Raises:
        ApiError: 400; it is not of that type. 413; it has too many rows.
    """
    if media_type == CSV:
        await read_csv(chunks, reader)
    elif media_type in NDJSON:
        await read_lines(chunks, reader)
    else:
        await read_array(tenant_id, chunks, reader)


async def read_csv(chunks: AsyncIterator[bytes], reader: ObjectReader) -> None:
    """Read a table whose first line names the columns; an empty cell says nothing.

    Raises:
        ApiError: 400; it is no such table.
    """
    body = b"".join([chunk async for chunk in chunks])
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise invalid(Fault(field="body", message=f"is not UTF-8: byte {error.start} is invalid")) from error
    records = read_records(_lines_of(text))
    first = next(records, None)
    header = first.cells if isinstance(first, CsvRecord) else []
    if fault := first.detail if isinstance(first, LineFault) else _fault_of_header(header):
        raise invalid(Fault(field="body", message=fault))
    time_slice = TimeSlice()
    for record in records:
        if isinstance(record, LineFault):
            reader.take(DomainFault("body", f"line {record.number}: {record.detail}"))
        elif len(record.cells) == len(header):
            reader.take({name: cell for name, cell in zip(header, record.cells, strict=True) if cell})
        else:
            reader.take(DomainFault("body", f"has {len(record.cells)} columns; the header has {len(header)}"))
        if time_slice.is_over:
            await time_slice.yield_loop()


def _lines_of(text: str) -> Iterator[str]:
    """Go through the lines of a table; one is taken apart in one go, so that it must not be too long."""
    for number, line in enumerate(io.StringIO(text, newline=""), 1):
        if len(line) > MAX_LINE:
            message = f"line {number} has {len(line):,} characters; {MAX_LINE:,} are allowed"
            raise invalid(Fault(field="body", message=message))
        yield line


def _fault_of_header(header: list[str]) -> str:
    if len(header) > MAX_COLUMNS:
        return f"has {len(header):,} columns; {MAX_COLUMNS:,} are allowed"
    if fault := find_header_fault(header):
        return f"is no table: {fault}"
    if not set(ID_NAMES).intersection(header):
        return f"must begin with a line that names the columns, {' or '.join(ID_NAMES)} among them"
    return ""
