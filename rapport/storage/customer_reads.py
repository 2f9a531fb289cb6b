"""Plain reads of single customers: arrays as parameters, and the column ``packed`` instead of many.

Both are there for speed. The engine takes longer to plan a join than to read these rows, and reading costs what the
columns that are read cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import msgspec
    import polars as pl

    from rapport.domain.customers.customer import CustomerRef


def asked_arrays(customers: Collection[CustomerRef]) -> dict[str, list[str]]:
    """The parameters of a query about some customers; whoever asks pairs tenants with customers again."""
    return {
        "tenants": sorted({tenant for tenant, _ in customers}),
        "customers": sorted({customer for _, customer in customers}),
    }


def unpack(found: pl.DataFrame, decoder: msgspec.json.Decoder[Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of a query, each with what its last column, ``packed``, holds.

    Args:
        found: May be empty.
        decoder: Of a list of tuples.
    """
    if found.is_empty():
        return
    *keys, packed = found.get_columns()
    values = decoder.decode("[" + ",".join(packed) + "]")
    for key, value in zip(zip(*keys, strict=True), values, strict=True):
        yield key + value
