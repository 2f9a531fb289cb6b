"""The audit log on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from api.http.cursors import Pagination
from rapport.domain.audit import Reason


class FieldChange(msgspec.Struct, frozen=True, kw_only=True, rename={"before": "from", "after": "to"}):
    """Change of one field; null where it was not given before, or is not any more."""

    before: Any = None
    after: Any = None


class AuditRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One change.

    Attributes:
        id: Its place in the tenant's chain; 1 for the first.
        action: create, update, soft_delete, restore, publish, revoke …
        changes: The fields that differ, by name.
        before: All of it before; null if there was nothing.
        after: All of it after; null if nothing is left.
        entity_version: The version that the change made.
        user_id: The key or the command that made it.
        request_id: The trace of the request that made it.
        integrity_hash: SHA-256 of this entry and of `prevHash`.
        prev_hash: Of the entry before it.
    """

    id: int
    tenant_id: str
    timestamp: str
    action: str
    entity_type: str
    entity_id: str
    entity_name: str
    entity_version: int
    changes: Mapping[str, FieldChange]
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    user_id: str
    request_id: str
    integrity_hash: str
    prev_hash: str


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of changes, the newest first; `total`, `page` and `limit` repeat what `pagination` says."""

    logs: Sequence[AuditRow]
    total: int
    page: int
    limit: int
    pagination: Pagination


class AuditVerdict(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Result of checking the chain.

    Attributes:
        valid: Whether every entry continues the one before it.
        checked: Number of checked entries.
        first_broken: The id of the first that does not; null if all do.
        reason: hash_mismatch: the entry itself was changed; chain_link_mismatch: one before it is missing or was added;
            anchor_missing: entries are cut off at the end, from this one on; anchor_mismatch: the chain was written
            anew, at this entry or before it.
        intact: As `valid`, by its older name.
        head: The anchor of the newest entry, to be kept elsewhere; null if there is none or the chain is broken.
    """

    valid: bool
    checked: int
    first_broken: int | None
    reason: Reason | None
    intact: bool
    head: str | None
