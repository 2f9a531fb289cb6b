"""Exports of customers' data: copied by the engine from table to table, counted, and read in pages."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

from rapport.storage.dead_letters import get_letters
from rapport.storage.personal_data import (
    ErasureScope,
    Location,
    LocationKind,
    find_dead_letters,
    find_locations,
    select_linking_ids,
)

if TYPE_CHECKING:
    from rapport.storage.client import Store
    from rapport.storage.dsar import DsarRequest

TABLE: Final = "dsar_exports"
LETTERS_AT_ONCE: Final = 100
PAGE_ROWS: Final = 500
LOCATION_ROWS: Final = 1 << 40
"""Number of positions per location; a table has one location for each column that names customers."""
_FOREVER_MS: Final = 4_102_444_800_000
_QUERIES: Final = {True: ("dsar/count_in_arrays", "dsar/export_in_arrays"), False: ("dsar/count", "dsar/export")}


class IncompleteExportError(Exception):
    """Rows are missing in an export; the text names the tables and the numbers."""


def write_export(store: Store, request: DsarRequest, customer_ids: Sequence[str]) -> dict[str, int]:
    """Copy all rows that the tables hold of one person's customer ids into the request's export.

    1. Delete the rows of earlier attempts. A crash from here on leaves rows that no completed request names.
    2. Count each table, then copy it: rows that arrive meanwhile may be in the export, rows that were there must be.
    3. Count the rows of the export, and compare.

    Returns:
        Rows by table, where there are any.

    Raises:
        IncompleteExportError: The export holds fewer rows of a table than there were.
        StorageError: The database does not answer, or refuses.
    """
    own = {"tenant_id": request.tenant_id, "request_id": request.request_id, "attempt": request.attempts}
    if request.attempts > 1:
        store.command("dsar/delete_attempts", own)
    expected: Counter[str] = Counter()
    for number, location in enumerate(find_locations(store)):
        if location.kind is not LocationKind.REQUESTS and location.table != TABLE:
            expected[location.shown] += _copy(store, location, request, customer_ids, number * LOCATION_ROWS + 1)
    found = {row["table_name"]: int(row["rows"]) for row in store.rows("dsar/exported", own)}
    missing = [
        f"{found.get(name, 0):,} of {rows:,} rows of {name}"
        for name, rows in expected.items()
        if found.get(name, 0) < rows
    ]
    if missing:
        raise IncompleteExportError(f"The export holds only {', '.join(missing)}.")
    return found


def read_export(store: Store, request: DsarRequest, after: tuple[str, int] = ("", 0)) -> list[tuple[str, int, str]]:
    """Read a page of an export after a position: table, position and JSON of each row; empty behind the last."""
    names = {"tenant_id": request.tenant_id, "request_id": request.request_id, "attempt": request.attempts}
    place = {"after_table": after[0], "after_position": after[1], "limit": PAGE_ROWS}
    return [(row["table_name"], row["position"], row["body"]) for row in store.rows("dsar/export_page", names | place)]


def _copy(
    store: Store, location: Location, request: DsarRequest, customer_ids: Sequence[str], first_position: int
) -> int:
    """Copy the rows of one location; return their number before the copy."""
    if location.kind is LocationKind.LETTERS:
        return _copy_letters(store, request, customer_ids)
    count, copy = _QUERIES[location.kind is LocationKind.ARRAY]
    named = select_linking_ids(customer_ids) if location.kind is LocationKind.ARRAY else list(customer_ids)
    who = {"tenant_id": request.tenant_id, "customer_ids": named, "column": location.column}
    rows = int(store.rows(count, {**who, "table": location.table})[0]["rows"])
    made = {
        "request_id": request.request_id,
        "attempt": request.attempts,
        "requested_at_ms": request.requested_at_ms,
        "first_position": first_position,
    }
    if rows:
        store.command(copy, {**who, **made, "table": location.shown, "source": location.table})
    return rows


def _copy_letters(store: Store, request: DsarRequest, customer_ids: Sequence[str]) -> int:
    ids = find_dead_letters(store, ErasureScope(request.tenant_id, tuple(customer_ids), _FOREVER_MS))
    for start in range(0, len(ids), LETTERS_AT_ONCE):
        bodies = list(_letters(store, ids[start : start + LETTERS_AT_ONCE]))
        frame = pl.DataFrame(
            {
                "tenant_id": [request.tenant_id] * len(bodies),
                "request_id": [request.request_id] * len(bodies),
                "attempt": [request.attempts] * len(bodies),
                "table_name": ["dead_letters"] * len(bodies),
                "position": range(start + 1, start + 1 + len(bodies)),
                "customer_ids": [list(customer_ids)] * len(bodies),
                "requested_at": [request.requested_at_ms] * len(bodies),
                "body": bodies,
            },
            schema_overrides={
                "attempt": pl.UInt32,
                "position": pl.UInt64,
                "requested_at": pl.Datetime("ms", "UTC"),
                "customer_ids": pl.List(pl.String),
            },
        )
        store.insert(TABLE, frame)
    return len(ids)


def _letters(store: Store, ids: Sequence[str]) -> Iterator[str]:
    for one in get_letters(store, ids):
        shown: dict[str, Any] = {"id": one.id, "code": one.code, "detail": one.detail}
        yield msgspec.json.encode({**shown, "value": _text(one.value), "key": _text(one.key)}).decode()


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(raw).decode()
