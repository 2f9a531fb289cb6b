"""Customers as the rows of a schema: those who have at least one of its attributes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from rapport.domain.json_limits import decode_stored_object

if TYPE_CHECKING:
    from rapport.storage.client import Store


class SchemaRow(NamedTuple):
    """A customer, as far as a schema goes."""

    customer_id: str
    attributes: dict[str, Any]


class FieldStats(msgspec.Struct, frozen=True, kw_only=True):
    """What the customers of a tenant have as one attribute. Values are JSON.

    Attributes:
        filled: How many customers have it.
        mean: Of its numbers; None if it has none, like the least and the greatest.
        first_value: The first in the order of texts; likewise the last.
        top_values: The ten most frequent ones, with how many customers have each.
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
    """Read a page of rows, and how many there are in all.

    Args:
        store: Where.
        tenant_id: Whose.
        names: The attributes of the schema.
        limit: Rows of the page.
        offset: How many are skipped.
    """
    which = {"tenant_id": tenant_id, "names": sorted(names)}
    (counted,) = store.rows("customers/count_of_schema", which)
    rows = store.rows("customers/rows_of_schema", {**which, "limit": limit, "offset": offset})
    return [SchemaRow(row["customer_id"], _select_attributes(row["attributes"], names)) for row in rows], counted[
        "total"
    ]


def read_stats(store: Store, tenant_id: str, names: Collection[str]) -> dict[str, FieldStats]:
    """Read statistics of attributes, by name; those that nobody has are left out."""
    rows = store.rows("customers/stats_of_schema", {"tenant_id": tenant_id, "names": sorted(names)})
    return {row["name"]: FieldStats(**row) for row in rows}


def _select_attributes(attributes: str, names: Collection[str]) -> dict[str, Any]:
    decoded = decode_stored_object(attributes)
    return {name: decoded[name] for name in names if name in decoded}
