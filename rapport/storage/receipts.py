"""Erasure receipts: what was deleted, without naming the customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

if TYPE_CHECKING:
    from rapport.storage.client import Store

_MILLIS: Final = pl.Datetime("ms", "UTC")
_decode_counts: Final = msgspec.json.Decoder(dict[str, int]).decode


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """Result of an erasure.

    Attributes:
        customer_hashes: Of the ids that were erased together; see :func:`rapport.domain.privacy.hash_customer`.
        erased_at_ms: Messages that the broker received up to then do not count any more.
        deleted: Rows by table.
        is_verified: Whether every table was searched afterwards and no rows were found.
    """

    receipt_id: str
    customer_hashes: Sequence[str]
    erased_at_ms: int
    completed_at_ms: int
    deleted: Mapping[str, int]
    is_verified: bool
    requested_by: str


def write_receipt(store: Store, tenant_id: str, receipt: Receipt) -> None:
    """Store a receipt."""
    row: dict[str, Any] = msgspec.structs.asdict(receipt) | {
        "tenant_id": tenant_id,
        "erased_at": receipt.erased_at_ms,
        "completed_at": receipt.completed_at_ms,
        "deleted": msgspec.json.encode(receipt.deleted, order="sorted").decode(),
    }
    del row["erased_at_ms"], row["completed_at_ms"]
    types = {"customer_hashes": pl.List(pl.String), "erased_at": _MILLIS, "completed_at": _MILLIS}
    store.insert("erasure_receipts", pl.DataFrame([row], schema_overrides=types))


def find_receipt(store: Store, tenant_id: str, receipt_id: str) -> Receipt | None:
    """Return a receipt; None if there is none, or while its erasure is not complete."""
    rows = store.rows("privacy/receipts", {"tenant_id": tenant_id, "receipt_id": receipt_id})
    if not rows:
        return None
    row = rows[0]
    return Receipt(**{**row, "deleted": _decode_counts(row["deleted"]), "is_verified": bool(row["is_verified"])})
