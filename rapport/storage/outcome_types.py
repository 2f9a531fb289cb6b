"""Outcome types as their tenants see them: the newest version of each. Versions before it stay, for replays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

from rapport.domain.outcomes import Category, Classification

if TYPE_CHECKING:
    from rapport.storage.client import Store

_MILLIS: Final = pl.Datetime("ms", "UTC")


class OutcomeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The newest version of an outcome type.

    Attributes:
        is_active: False once it was deleted.
        effective_at_ms: Events that the broker receives from then on are counted by this version.
        created_at_ms: When its first version was made; 0 before it is stored, like ``updated_at_ms``.
    """

    key: str
    version: int
    name: str
    description: str
    classification: Classification
    category: Category
    is_conversion: bool
    is_system: bool = False
    ordinal: int
    is_active: bool = True
    effective_at_ms: int
    created_at_ms: int = 0
    updated_at_ms: int = 0


def list_outcome_types(store: Store, tenant_id: str) -> list[OutcomeRecord]:
    """Every outcome type a tenant has or had, in the order in which it lists them."""
    return [_record_of(row) for row in store.rows("outcome_types/of_tenant", {"tenant_id": tenant_id})]


def write_outcome_type(store: Store, tenant_id: str, record: OutcomeRecord) -> OutcomeRecord | None:
    """Write a version of an outcome type.

    Returns:
        It, as it is stored; None if somebody else has written another version with this number at the same time.
    """
    row = msgspec.structs.asdict(record) | {
        "tenant_id": tenant_id,
        "classification": record.classification.value,
        "category": record.category.value,
        "effective_at": record.effective_at_ms,
    }
    for name in ("effective_at_ms", "created_at_ms", "updated_at_ms"):
        del row[name]
    types: dict[str, Any] = {"version": pl.UInt32, "ordinal": pl.UInt32, "effective_at": _MILLIS}
    store.insert("outcome_types", pl.DataFrame([row], schema_overrides=types))
    stored = next(one for one in list_outcome_types(store, tenant_id) if one.key == record.key)
    times = {"created_at_ms": stored.created_at_ms, "updated_at_ms": stored.updated_at_ms}
    return stored if stored == msgspec.structs.replace(record, **times) else None


def _record_of(row: dict[str, Any]) -> OutcomeRecord:
    kinds = {"classification": Classification(row["classification"]), "category": Category(row["category"])}
    return OutcomeRecord(**{**row, **kinds})
