"""``/api/v1/audit-logs``: changes with their authors, and a check of the log itself."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Final

from litestar import Controller, Request, get
from litestar.params import QueryParameter
from msgspec import Meta

from api.audit.schemas import AuditPage, AuditRow, AuditVerdict, FieldChange
from api.auth.principal import Principal, requires
from api.http.areas import Injected
from api.http.cursors import CursorParameter, Cursors, build_pagination
from api.http.errors import invalid
from api.http.openapi_responses import answers
from api.http.parameters import clamp, read_instant, text_parameter
from api.http.times import iso
from rapport.domain.api_keys import Role
from rapport.domain.audit import parse_anchor
from rapport.domain.faults import Fault
from rapport.domain.json_limits import decode_stored_object
from rapport.storage.audit import AuditFilter, audit_catalogue, read_audit, verify_audit
from rapport.storage.database import Database

if TYPE_CHECKING:
    from rapport.domain.audit import Anchor, AuditEntry
    from rapport.storage.audit import ChainCheck
    from rapport.storage.client import Store

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 100
_CURSORS: Final = Cursors[int](Annotated[int, Meta(ge=1, lt=10**18)])
"""Sequence numbers of entries."""
_ROW: Final[Mapping[str, object]] = {
    "id": 2,
    "tenantId": "t_001",
    "timestamp": "2026-03-15T14:30:00.000Z",
    "action": "update",
    "entityType": "offer",
    "entityId": "off_abc123",
    "entityName": "Platinum Card Upgrade",
    "entityVersion": 2,
    "changes": {"priority": {"from": 50, "to": 70}},
    "before": {"id": "off_abc123", "name": "Platinum Card Upgrade"},
    "after": {"id": "off_abc123", "name": "Platinum Card Upgrade", "priority": 70},
    "userId": "key key_2f6c1b1e0d9a4c77",
    "requestId": "0af7651916cd43dd8448eb211c80319c",
    "integrityHash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "prevHash": "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
}
_PAGE: Final[Mapping[str, object]] = {
    "logs": [_ROW],
    "total": 2,
    "page": 1,
    "limit": 1,
    "pagination": {"total": 2, "limit": 1, "hasMore": True, "nextCursor": "2", "cursor": "2"},
}
_VERDICT: Final[Mapping[str, object]] = {
    "valid": True,
    "checked": 2,
    "firstBroken": None,
    "reason": None,
    "intact": True,
    "head": "2:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}


class AuditController(Controller):
    """Entries are never changed; each one's hash covers the one before it."""

    path = "/audit-logs"
    tags = ["Audit"]
    guards = [requires(Role.ADMIN)]
    opt = {"scope": "audit"}

    @get(summary="Who changed what, the newest first", responses=answers(200, AuditPage, _PAGE, 400))
    async def query(
        self,
        request: Request[Principal, Any, Any],
        database: Injected[Database],
        entity_type: Annotated[str | None, text_parameter("entityType", "Of this type, such as offer.")] = None,
        entity_id: Annotated[str | None, text_parameter("entityId", "Of this entity.")] = None,
        action: Annotated[
            str | None, text_parameter("action", "create, update, soft_delete, restore, publish …")
        ] = None,
        user_id: Annotated[str | None, text_parameter("userId", "Made by this key or command.")] = None,
        from_: Annotated[
            str | None, text_parameter("from", "At or after this time; ISO 8601 or epoch milliseconds.")
        ] = None,
        to: Annotated[str | None, text_parameter("to", "Before this time, likewise.")] = None,
        limit: Annotated[
            int, QueryParameter(description=f"Rows of a page; brought into 1 to {MAX_LIMIT}.")
        ] = DEFAULT_LIMIT,
        page: Annotated[int, QueryParameter(description="From 1; a cursor is stable, pages are not.", ge=1)] = 1,
        cursor: CursorParameter = None,
    ) -> AuditPage:
        """List entries; a change that was answered before this request is among them."""
        faults: list[Fault] = []
        wanted = AuditFilter(
            entity_type=entity_type or "",
            entity_id=entity_id or "",
            action=action or "",
            actor=user_id or "",
            from_ms=read_instant("from", from_, faults) or 0,
            to_ms=read_instant("to", to, faults) or 0,
        )
        before_seq = _CURSORS.read(cursor, faults) or 0
        if faults:
            raise invalid(*faults)
        limit = clamp(limit, 1, MAX_LIMIT)
        skipped = 0 if before_seq else min((page - 1) * limit, 1_000_000)
        entries, total = await database.call(_read, request.user.tenant_id, wanted, before_seq, limit, skipped)
        shown, following = _CURSORS.cut(entries, limit, attrgetter("seq"))
        pagination = build_pagination(total, limit, following)
        return AuditPage(
            logs=[_build_row(entry) for entry in shown], total=total, page=page, limit=limit, pagination=pagination
        )

    @get("/verify", summary="Check the chain of hashes", responses=answers(200, AuditVerdict, _VERDICT, 400))
    async def verify(
        self,
        request: Request[Principal, Any, Any],
        database: Injected[Database],
        anchor: Annotated[
            str | None, text_parameter("anchor", "`head` of an earlier answer: is the chain still that one?")
        ] = None,
    ) -> AuditVerdict:
        """All of the tenant's entries are read and their hashes worked out anew.

        A chain that was cut off at its end, or written anew, is whole in itself: keep `head` elsewhere and send it as
        `anchor` the next time.
        """
        kept = None if anchor is None else parse_anchor(anchor)
        if anchor is not None and kept is None:
            raise invalid(Fault(field="anchor", message="must be the `head` of an earlier answer, as 42:9f86d081…"))
        verdict = await database.call(_verify, request.user.tenant_id, kept)
        is_whole = verdict.broken_at is None
        return AuditVerdict(
            valid=is_whole,
            checked=verdict.checked,
            first_broken=verdict.broken_at,
            reason=verdict.reason,
            intact=is_whole,
            head=None if verdict.head is None else str(verdict.head),
        )


def _read(
    store: Store, tenant_id: str, wanted: AuditFilter, before_seq: int, limit: int, offset: int
) -> tuple[list[AuditEntry], int]:
    audit_catalogue(store, tenant_id)
    entries, total = read_audit(store, tenant_id, wanted, before_seq=before_seq, limit=limit + 1, offset=offset)
    if not entries:  # behind the last page
        total = read_audit(store, tenant_id, wanted, limit=1)[1]
    return entries, total


def _verify(store: Store, tenant_id: str, anchor: Anchor | None) -> ChainCheck:
    audit_catalogue(store, tenant_id)
    return verify_audit(store, tenant_id, anchor)


def _build_row(entry: AuditEntry) -> AuditRow:
    before, after = (decode_stored_object(text) if text else None for text in (entry.before, entry.after))
    return AuditRow(
        id=entry.seq,
        tenant_id=entry.tenant_id,
        timestamp=iso(entry.at_ms),
        action=entry.action,
        entity_type=entry.entity_type,
        entity_id=entry.entity_id,
        entity_name=entry.entity_name,
        entity_version=entry.entity_version,
        changes=_changes(before or {}, after or {}),
        before=before,
        after=after,
        user_id=entry.actor,
        request_id=entry.request_id,
        integrity_hash=entry.hash,
        prev_hash=entry.prev_hash,
    )


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Mapping[str, FieldChange]:
    return {
        name: FieldChange(before=before.get(name), after=after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }
