"""Rows of a customer schema: the customers who have at least one of its attributes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from rapport.domain.json_limits import decode_stored_object

if TYPE_CHECKING:
    from rapport.storage.client import Store


class SchemaRow(NamedTuple):
    """A customer with the attributes of a schema."""

    customer_id: str
    attributes: dict[str, Any]


class FieldStats(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics of one attribute over a tenant's customers. Values are JSON.

    Attributes:
        filled: Number of customers who have it.
        mean: Of its numbers; None if it has none, like the least and the greatest.
        first_value: The first in the order of texts.
        last_value: The last in the order of texts.
        top_values: The ten most frequent values.
        top_counts: Number of customers who have each of them.
    """

    name: str
    filled: int
    distinct_count: int
    least_number: float | None
    greatest_number: float | None
    mean: float | None
    first_value: str
    last_value: str
    top_values: Sequence[str]
    top_counts: Sequence[int]


def read_schema_rows(
    store: Store, tenant_id: str, names: Collection[str], *, limit: int, offset: int
) -> tuple[list[SchemaRow], int]:
    """Read a page of rows, and the number of all rows.

    Args:
        store: The database.
        tenant_id: The tenant.
        names: The attributes of the schema.
        limit: Rows per page.
        offset: Number of rows to skip.
    """
    which = {"tenant_id": tenant_id, "names": sorted(names)}
    (counted,) = store.rows("customers/count_of_schema", which)
    rows = store.rows("customers/rows_of_schema", {**which, "limit": limit, "offset": offset})
    return [SchemaRow(row["customer_id"], _select_attributes(row["attributes"], names)) for row in rows], counted[
        "total"
    ]


def read_stats(store: Store, tenant_id: str, names: Collection[str]) -> dict[str, FieldStats]:
    """Read statistics of attributes, by name; attributes that no customer has are left out."""
    rows = store.rows("customers/stats_of_schema", {"tenant_id": tenant_id, "names": sorted(names)})
    return {row["name"]: FieldStats(**row) for row in rows}


def _select_attributes(attributes: str, names: Collection[str]) -> dict[str, Any]:
    decoded = decode_stored_object(attributes)
    return {name: decoded[name] for name in names if name in decoded}
