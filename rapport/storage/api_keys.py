"""API keys: created, found by hash, listed and revoked, with entries in the audit log."""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from rapport.domain.api_keys import KEY_LENGTH, KEY_PREFIX, MAX_EXPIRY_MS, SHOWN_LENGTH, ApiKey, Role, hash_key
from rapport.domain.audit import AuditDraft, encode_canonical
from rapport.storage.audit import append_audit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rapport.storage.catalogue_changes import Author
    from rapport.storage.client import Store

_ALPHABET: Final = string.ascii_letters + string.digits
_MILLIS: Final = pl.Datetime("ms", "UTC")


def create_key(
    store: Store,
    tenant_id: str,
    role: Role,
    pepper: str,
    now_ms: int,
    *,
    name: str = "",
    scopes: Sequence[str] = (),
    expires_at_ms: int | None = None,
) -> tuple[str, ApiKey]:
    """Create a key for a tenant.

    Returns:
        The secret key, which is not stored and cannot be read again, and the stored record.
    """
    key = KEY_PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(KEY_LENGTH - len(KEY_PREFIX)))
    stored = ApiKey(
        key_id=f"key_{secrets.token_hex(8)}",
        tenant_id=tenant_id,
        name=name or f"key-{now_ms}",
        key_hash=hash_key(key, pepper),
        prefix=key[:SHOWN_LENGTH],
        role=role,
        scopes=tuple(scopes),
        expires_at_ms=expires_at_ms,
        created_at_ms=now_ms,
    )
    _write(store, stored)
    return key, stored


def find_key(store: Store, key_hash: str) -> ApiKey | None:
    """Return the key with a hash, revoked and expired ones included."""
    rows = store.rows("api_keys/by_hash", {"key_hash": key_hash})
    return _key_from_row(rows[0]) if rows else None


def list_keys(store: Store, tenant_id: str) -> list[ApiKey]:
    """Return a tenant's keys that were not revoked, the newest first."""
    keys = [_key_from_row(row) for row in store.rows("api_keys/of_tenant", {"tenant_id": tenant_id})]
    return [key for key in keys if key.revoked_at_ms is None]


def revoke_key(store: Store, tenant_id: str, key_id: str, now_ms: int, *, reason: str = "") -> ApiKey | None:
    """Revoke one of a tenant's keys.

    Returns:
        The key as it was; None if the tenant has no such key that is still valid.
    """
    for key in list_keys(store, tenant_id):
        if key.key_id == key_id:
            _write(store, key, revoked_at_ms=now_ms, reason=reason)
            return key
    return None


def audit_created_key(store: Store, key: ApiKey, author: Author) -> None:
    """Write to the audit log that a key was created."""
    draft = _draft_change(key, author, "create", key.created_at_ms, after=encode_canonical(_audited_fields(key)))
    append_audit(store, key.tenant_id, [draft])


def audit_revoked_key(store: Store, key: ApiKey, author: Author, now_ms: int, *, reason: str = "") -> None:
    """Write to the audit log that a key was revoked, and why."""
    before = _audited_fields(key)
    after = before | {"revokedAtMs": now_ms, "revokedReason": reason}
    draft = _draft_change(key, author, "revoke", now_ms, before=encode_canonical(before), after=encode_canonical(after))
    append_audit(store, key.tenant_id, [draft])


def note_uses(store: Store, uses: Mapping[str, int]) -> None:
    """Record when keys, by id, were last used (epoch milliseconds)."""
    rows = {"key_id": list(uses), "last_used_at": list(uses.values())}
    store.insert("api_key_uses", pl.DataFrame(rows, schema_overrides={"last_used_at": _MILLIS}))


def _write(store: Store, key: ApiKey, *, revoked_at_ms: int | None = None, reason: str = "") -> None:
    row = {
        "key_hash": key.key_hash,
        "key_id": key.key_id,
        "tenant_id": key.tenant_id,
        "name": key.name,
        "prefix": key.prefix,
        "role": key.role.value,
        "scopes": list(key.scopes),
        "expires_at": key.expires_at_ms,
        "created_at": key.created_at_ms,
        "revoked_at": revoked_at_ms,
        "revoked_reason": reason,
    }
    times = {"expires_at": _MILLIS, "created_at": _MILLIS, "revoked_at": _MILLIS, "scopes": pl.List(pl.String)}
    try:
        store.insert("api_keys", pl.DataFrame([row], schema_overrides=times))
    finally:  # an insert that has failed may have been made
        store.raise_version(key.tenant_id, "keys")


def _draft_change(key: ApiKey, author: Author, action: str, at_ms: int, *, before: str = "", after: str) -> AuditDraft:
    return AuditDraft(
        at_ms=at_ms,
        actor=author.name,
        action=action,
        entity_type="api_key",
        entity_id=key.key_id,
        entity_name=key.name,
        before=before,
        after=after,
        request_id=author.request_id,
    )


def _audited_fields(key: ApiKey) -> dict[str, Any]:
    """Return the fields of a key for the audit log: none from which the key or its hash could be guessed."""
    return {"name": key.name, "role": key.role, "scopes": key.scopes, "expiresAtMs": key.expires_at_ms}


def _key_from_row(row: Mapping[str, Any]) -> ApiKey:
    expires_at_ms = row["expires_at_ms"]  # older rows may exceed the bound: such a key must not hide the others
    return ApiKey(
        key_id=row["key_id"],
        tenant_id=row["tenant_id"],
        name=row["name"],
        key_hash=row["hash"],
        prefix=row["prefix"],
        role=Role(row["role"]),
        scopes=tuple(row["scopes"]),
        expires_at_ms=None if expires_at_ms is None else max(0, min(expires_at_ms, MAX_EXPIRY_MS)),
        created_at_ms=row["created_at_ms"],
        revoked_at_ms=row["revoked_at_ms"],
        last_used_at_ms=row["last_used_at_ms"],
    )
