"""Outcome types of a tenant: the newest version of each. Earlier versions stay, for replays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

from rapport.domain.audit import AuditDraft, encode_canonical
from rapport.domain.outcomes import Classification, OutcomeCategory, compute_effective_at_ms
from rapport.storage.audit import append_audit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rapport.storage.catalogue_changes import Author
    from rapport.storage.client import Store

_MILLIS: Final = pl.Datetime("ms", "UTC")


class OutcomeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Newest version of an outcome type.

    Attributes:
        version: From 1; 0 before it is stored.
        is_active: False after deletion.
        effective_at_ms: Events that the broker receives from then on are counted by this version, epoch milliseconds.
        created_at_ms: Time of the first version, epoch milliseconds.
        updated_at_ms: Time of this version, epoch milliseconds.
    """

    key: str
    version: int = 0
    name: str
    description: str
    classification: Classification
    category: OutcomeCategory
    is_conversion: bool
    allows_negative_value: bool = False
    is_system: bool = False
    ordinal: int
    is_active: bool = True
    effective_at_ms: int = 0
    created_at_ms: int = 0
    updated_at_ms: int = 0


def list_outcome_types(store: Store, tenant_id: str) -> list[OutcomeRecord]:
    """List all outcome types of a tenant, deleted ones included, in the tenant's order."""
    return [_record_from_row(row) for row in store.rows("outcome_types/of_tenant", {"tenant_id": tenant_id})]


def save_outcome_types(
    store: Store,
    tenant_id: str,
    changes: Sequence[tuple[OutcomeRecord | None, OutcomeRecord]],
    author: Author,
    now_ms: int,
) -> list[OutcomeRecord | None]:
    """Write the next versions of some outcome types, all of them or none, and their entries in the audit log.

    Args:
        store: The database.
        tenant_id: The tenant.
        changes: The newest version of each, None if there is none, and the one to follow.
        author: Recorded in the audit log.
        now_ms: Time of the change; the new versions apply from then on, or a little later
            (:func:`compute_effective_at_ms`).

    Returns:
        The new versions as stored; None in place of each that another writer has changed at the same time.
    """
    if not changes:
        return []
    written = [_next_version(before, record, now_ms) for before, record in changes]
    types: dict[str, Any] = {"version": pl.UInt32, "ordinal": pl.UInt32, "effective_at": _MILLIS}
    store.insert("outcome_types", pl.DataFrame([_to_row(tenant_id, one) for one in written], schema_overrides=types))
    newest = {one.key: one for one in list_outcome_types(store, tenant_id)}
    stored = [newest[one.key] if _is_version(newest[one.key], one) else None for one in written]
    drafts = [
        _draft_change(before, record, author, now_ms)
        for (before, _), record in zip(changes, stored, strict=True)
        if record is not None
    ]
    append_audit(store, tenant_id, drafts)
    return stored


def _next_version(before: OutcomeRecord | None, record: OutcomeRecord, now_ms: int) -> OutcomeRecord:
    effective_at_ms = compute_effective_at_ms(
        now_ms,
        last_effective_at_ms=before.effective_at_ms if before else None,
        was_active=before is not None and before.is_active,
    )
    version = before.version + 1 if before else 1
    return msgspec.structs.replace(record, version=version, effective_at_ms=effective_at_ms)


def _to_row(tenant_id: str, record: OutcomeRecord) -> dict[str, Any]:
    row = msgspec.structs.asdict(record) | {
        "tenant_id": tenant_id,
        "classification": record.classification.value,
        "category": record.category.value,
        "effective_at": record.effective_at_ms,
    }
    for name in ("effective_at_ms", "created_at_ms", "updated_at_ms"):
        del row[name]
    return row


def _is_version(stored: OutcomeRecord, written: OutcomeRecord) -> bool:
    times = {"created_at_ms": stored.created_at_ms, "updated_at_ms": stored.updated_at_ms}
    return stored == msgspec.structs.replace(written, **times)


def _draft_change(before: OutcomeRecord | None, stored: OutcomeRecord, author: Author, now_ms: int) -> AuditDraft:
    if not stored.is_active:
        action = "soft_delete"
    elif before is None:
        action = "create"
    else:
        action = "update" if before.is_active else "restore"
    return AuditDraft(
        at_ms=now_ms,
        actor=author.name,
        action=action,
        entity_type="outcome_type",
        entity_id=stored.key,
        entity_name=stored.name,
        entity_version=stored.version,
        before="" if before is None else encode_canonical(msgspec.to_builtins(before)),
        after=encode_canonical(msgspec.to_builtins(stored)) if stored.is_active else "",
        request_id=author.request_id,
    )


def _record_from_row(row: dict[str, Any]) -> OutcomeRecord:
    kinds = {"classification": Classification(row["classification"]), "category": OutcomeCategory(row["category"])}
    return OutcomeRecord(**{**row, **kinds})
