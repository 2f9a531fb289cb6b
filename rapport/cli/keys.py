"""``rapport key``."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import click

from rapport.cli.environment import CliError, open_store, read_settings
from rapport.domain.api_keys import Role, find_expiry_fault, find_scope_fault
from rapport.storage.api_keys import audit_created_key, audit_revoked_key, create_key, list_keys, revoke_key
from rapport.storage.catalogue_changes import Author
from rapport.storage.tenants import load_tenants
from rapport.terminal import echo, echo_row


@click.group()
def key() -> None:
    """Create, list and revoke API keys."""


@key.command()
@click.argument("tenant_id")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True, help="What it may do.")
@click.option("--name", default="", help="For people.")
@click.option("--scope", "scopes", multiple=True, help="Limits the key to one area, such as respond; may be repeated.")
@click.option("--expires", type=click.DateTime(), help="From then on (UTC) it is refused.")
def create(*, tenant_id: str, role: str, name: str, scopes: tuple[str, ...], expires: datetime | None) -> None:
    """Make a key. It is printed once and cannot be had again."""
    settings = read_settings()
    pepper = settings.api.key_pepper.reveal()
    if not pepper:
        raise CliError("RAPPORT_API_KEY_PEPPER must be set, and be the same as the API's.")
    expires_at_ms = int(expires.replace(tzinfo=UTC).timestamp() * 1000) if expires else None
    now_ms = int(time.time() * 1000)
    for option, fault in (
        ("--scope", find_scope_fault(scopes)),
        ("--expires", find_expiry_fault(expires_at_ms, now_ms)),
    ):
        if fault:
            raise CliError(f"{option} {fault}.")
    with open_store(settings) as store:
        if tenant_id not in load_tenants(store):
            raise CliError(f"there is no tenant {tenant_id!r}; create it with `rapport tenant create {tenant_id}`.")
        secret, stored = create_key(
            store,
            tenant_id,
            Role(role),
            pepper,
            now_ms,
            name=name,
            scopes=scopes,
            expires_at_ms=expires_at_ms,
        )
        audit_created_key(store, stored, Author("rapport key create"))
    echo(secret)


@key.command("list")
@click.argument("tenant_id")
def list_all(tenant_id: str) -> None:
    """List a tenant's keys: id, beginning, role, name, expiry, last use."""
    with open_store(read_settings()) as store:
        for known in list_keys(store, tenant_id):
            expiry = _format_time(known.expires_at_ms) or "never expires"
            used = _format_time(known.last_used_at_ms) or "never used"
            echo_row(known.key_id, known.prefix, known.role, known.name, expiry, used)


@key.command()
@click.argument("tenant_id")
@click.argument("key_id")
@click.option("--reason", default="", help="Is kept with the key.")
def revoke(*, tenant_id: str, key_id: str, reason: str) -> None:
    """Revoke a key; the API refuses it within 15 seconds."""
    now_ms = int(time.time() * 1000)
    with open_store(read_settings()) as store:
        revoked = revoke_key(store, tenant_id, key_id, now_ms, reason=reason)
        if revoked is None:
            raise CliError(f"tenant {tenant_id!r} has no valid key {key_id!r}; see `rapport key list {tenant_id}`.")
        audit_revoked_key(store, revoked, Author("rapport key revoke"), now_ms, reason=reason)
    echo(f"{key_id} is revoked.")


def _format_time(at_ms: int | None) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds") if at_ms is not None else ""
