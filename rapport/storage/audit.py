"""The audit log: a chain of entries per tenant.

The invariant: batch n + 1 of a tenant's log is the append whose insert was stored first among those that name batch n +
1, and each writer of n + 1 has read n. So the chain has no forks: an append that came second does not count, and is
written again behind the one that came first.

Changes of the catalogue get their entries afterwards: they are derived from the catalogue's own versions, from the last
audited revision on. So if a writer dies before it appends its entry, the next reader or writer of the log does it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

from rapport.domain.audit import Anchor, AuditDraft, AuditEntry, Reason, encode_canonical, find_break, link_entries
from rapport.domain.json_limits import decode_stored_object
from rapport.storage.contention import ContestedWriteError, retry_contested

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rapport.storage.client import Store

CHUNK: Final = 5_000
_TYPES: Final[Mapping[str, Any]] = {
    "seq": pl.UInt64,
    "batch": pl.UInt64,
    "at": pl.Datetime("ms", "UTC"),
    "entity_version": pl.UInt32,
    "revision": pl.UInt64,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Conditions on entries; empty or 0 means no condition.

    Attributes:
        from_ms: Entries at or after this time, epoch milliseconds.
        to_ms: Entries before this time.
    """

    entity_type: str = ""
    entity_id: str = ""
    action: str = ""
    actor: str = ""
    from_ms: int = 0
    to_ms: int = 0


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """Result of verifying a chain.

    Attributes:
        checked: Number of entries checked.
        broken_at: Sequence number of the first wrong entry; None if all are right.
        reason: The fault of that entry.
        head: The newest entry, to be kept elsewhere as an anchor; None if there is none, or the chain is broken.
    """

    checked: int
    broken_at: int | None = None
    reason: Reason | None = None
    head: Anchor | None = None


@dataclass(frozen=True, slots=True)
class _ChainHead:
    seq: int
    batch: int
    hash: str
    audited_revision: int


def append_audit(store: Store, tenant_id: str, drafts: Sequence[AuditDraft]) -> None:
    """Append entries to a tenant's log, all of them or none.

    Raises:
        TransientStorageError: The database does not answer; the entries may or may not have been written.
    """
    if drafts:
        retry_contested(lambda: _append(store, tenant_id, _read_head(store, tenant_id), drafts))


def audit_catalogue(store: Store, tenant_id: str) -> None:
    """Append entries for all changes of the catalogue that have none yet.

    Raises:
        TransientStorageError: As :func:`append_audit`.
    """

    def append_missing() -> None:
        head = _read_head(store, tenant_id)
        parameters = {"tenant_id": tenant_id, "revision": head.audited_revision}
        if changes := store.rows("catalogue/changes_since", parameters):
            _append(store, tenant_id, head, [_draft_change(row) for row in changes])

    retry_contested(append_missing)


def read_audit(
    store: Store, tenant_id: str, filters: AuditFilter, *, before_seq: int = 0, limit: int = 50, offset: int = 0
) -> tuple[list[AuditEntry], int]:
    """Read a page of entries, the newest first, and the number of entries on all pages.

    Args:
        store: The database.
        tenant_id: The tenant.
        filters: Conditions on the entries.
        before_seq: Only entries with a smaller sequence number; 0 for all.
        limit: Entries per page.
        offset: Number of entries to skip.

    Returns:
        The entries and the total, which is 0 for a page behind the last.
    """
    parameters = {name: getattr(filters, name) for name in AuditFilter.__slots__}
    parameters |= {"tenant_id": tenant_id, "before_seq": before_seq, "limit": limit, "offset": offset}
    rows = store.rows("audit/page", parameters)
    return [_entry_from_row(tenant_id, row) for row in rows], rows[0]["total"] if rows else 0


def verify_audit(store: Store, tenant_id: str, anchor: Anchor | None = None) -> ChainCheck:
    """Verify a tenant's whole chain, and that it still contains an entry that it once had (the anchor)."""
    seq, last_hash = 0, ""
    while True:
        parameters = {"tenant_id": tenant_id, "after_seq": seq, "limit": CHUNK}
        entries = [_entry_from_row(tenant_id, row) for row in store.rows("audit/chain", parameters)]
        if broken := find_break(seq, last_hash, entries):
            return ChainCheck(seq + sum(entry.seq <= broken[0] for entry in entries), *broken)
        if anchor is not None and any(entry.seq == anchor.seq and entry.hash != anchor.hash for entry in entries):
            return ChainCheck(anchor.seq, anchor.seq, "anchor_mismatch")
        if entries:
            seq, last_hash = entries[-1].seq, entries[-1].hash
        if len(entries) < CHUNK:
            break
    if anchor is not None and seq < anchor.seq:
        return ChainCheck(seq, seq + 1, "anchor_missing")
    return ChainCheck(seq, head=Anchor(seq, last_hash) if seq else None)


def _read_head(store: Store, tenant_id: str) -> _ChainHead:
    (row,) = store.rows("audit/head", {"tenant_id": tenant_id})
    return _ChainHead(row["last_seq"], row["last_batch"], row["last_hash"], row["audited_revision"])


def _append(store: Store, tenant_id: str, head: _ChainHead, drafts: Sequence[AuditDraft]) -> None:
    """Append entries behind a head.

    Raises:
        ContestedWriteError: Others were appended behind it.
    """
    change_id, batch = uuid.uuid4().hex, head.batch + 1
    rows = []
    for entry in link_entries(tenant_id, head.seq, head.hash, drafts):
        row = msgspec.structs.asdict(entry)
        row["at"] = row.pop("at_ms")
        rows.append({**row, "batch": batch, "change_id": change_id})
    store.insert("audit_entry_log", pl.DataFrame(rows, schema_overrides=_TYPES))
    (first,) = store.rows("audit/stored_first", {"tenant_id": tenant_id, "batch": batch})
    if first["change_id"] != change_id:
        raise ContestedWriteError(f"the audit log of {tenant_id}")


def _draft_change(row: Mapping[str, Any]) -> AuditDraft:
    """Describe one version of a catalogue entity as an audit entry."""
    existed = row["version"] > 1 and not row["was_deleted"]
    before = decode_stored_object(row["body_before"]) if existed and row["body_before"] else None
    after = None if row["is_deleted"] else decode_stored_object(row["body"])
    return AuditDraft(
        at_ms=row["stored_at_ms"],
        actor=row["changed_by"],
        action=_name_action(row["version"], before, after),
        entity_type=row["kind"],
        entity_id=row["entity_id"],
        entity_name=row["name"],
        entity_version=row["version"],
        revision=row["revision"],
        before="" if before is None else encode_canonical(before),
        after="" if after is None else encode_canonical(after),
        request_id=row["request_id"],
    )


def _name_action(version: int, before: Any, after: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    if after is None:
        return "soft_delete"
    if before is None:
        return "create" if version == 1 else "restore"
    was, is_now = (one.get("publishedVersion", 0) for one in (before, after))
    return "publish" if is_now > was else "update"


def _entry_from_row(tenant_id: str, row: Mapping[str, Any]) -> AuditEntry:
    fields = {name: row[name] for name in AuditEntry.__struct_fields__ if name != "tenant_id"}
    return AuditEntry(**fields, tenant_id=tenant_id)
