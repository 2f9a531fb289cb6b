"""Rows of a body while it arrives: one JSON array, one JSON object a line, or a CSV table."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from api.http.errors import ApiError, invalid
from api.runtime.compute_threads import run_in_thread
from rapport.application.imports.csv_records import CsvRecord, find_header_fault, read_records
from rapport.application.imports.feeds import LineFault
from rapport.domain.faults import Fault
from rapport.domain.json_limits import JsonFault, split_array
from rapport.domain.profiles.attributes import ID_NAMES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

MAX_LINES: Final = 100_000
"""Empty ones counted."""
PIECE_BYTES: Final = 65_536
MAX_VALUES: Final = 500_000
"""Of a body; commas are counted. What is made of more values keeps the interpreter from other requests for too long."""
MAX_COLUMNS: Final = 1_000
MAX_LINE: Final = 262_144
"""Characters of a line of a table."""


async def bounded(chunks: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[bytes]:
    """Pass on the pieces of a body, as long as it is not too large.

    Raises:
        ApiError: 413; it is too large, or has too many values.
    """
    size = values = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise ApiError(413, f"The body may have at most {max_bytes:,} bytes; send the rest with another request.")
        values += chunk.count(b",")
        if values > MAX_VALUES:
            raise ApiError(413, f"The body has more than {MAX_VALUES:,} values; send the rest with another request.")
        yield chunk


async def read_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield one item a line, empty ones too.

    Raises:
        ApiError: 413; there are too many lines.
    """
    rest: list[bytes] = []  # joined once a line: a long one comes in many pieces
    left = MAX_LINES
    async for chunk in chunks:
        for at in range(0, len(chunk), PIECE_BYTES):
            first, *lines = chunk[at : at + PIECE_BYTES].split(b"\n")
            rest.append(first)
            left -= len(lines)
            if left < 0:
                raise ApiError(413, f"The body has more than {MAX_LINES:,} lines; send the rest with another request.")
            for line in lines:
                yield b"".join(rest)
                rest = [line]
    yield b"".join(rest)


async def read_array(tenant_id: str, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the items of an array, or a single object.

    Raises:
        ApiError: 400; it is neither.
    """
    body = b"".join([chunk async for chunk in chunks])
    if body.lstrip().startswith(b"{"):
        yield body
        return
    items = await run_in_thread(tenant_id, split_array, body) if len(body) > PIECE_BYTES else split_array(body)
    if isinstance(items, JsonFault):
        raise invalid(Fault(field="body", message=f"must be a JSON array of objects: {items.message}"))
    for item in items:
        yield item


async def read_table(chunks: AsyncIterator[bytes]) -> AsyncIterator[Mapping[str, str] | Fault]:
    """Yield the rows of a table, or their faults. The first line names the columns; an empty cell says nothing.

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
    for record in records:
        if isinstance(record, LineFault):
            yield Fault(field="body", message=f"line {record.number}: {record.detail}")
        elif len(record.cells) == len(header):
            yield {name: cell for name, cell in zip(header, record.cells, strict=True) if cell}
        else:
            yield Fault(field="body", message=f"has {len(record.cells)} columns; the header has {len(header)}")


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
